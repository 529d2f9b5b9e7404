"""`rdc-sweep data where`: what it prints, and that its commands exist."""

import json
from pathlib import Path

import pytest

from rdc_sweeps.data.importing.where import DISTRIBUTIONS
from rdc_sweeps.settings import Settings
from tests.cli.conftest import Inside
from tests.docs.pages import Command
from tests.docs.test_options import refusal

GOLDEN = Path(__file__).parent / "goldens" / "where.txt"
"""Else: `rdc-sweep data where > tests/cli/goldens/where.txt`."""


def test_all_data_sets_are_shown(inside: Inside) -> None:
    shown = inside("data", "where")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == GOLDEN.read_text(encoding="utf-8")


def test_some_are_shown_in_the_order_asked_for(inside: Inside) -> None:
    shown = inside("data", "where", "labels", "nyuv2").out
    assert shown.startswith("labels: ")
    assert "\n\nnyuv2: " in shown
    assert "cityscapes: " not in shown


def test_addresses_are_not_broken_on_a_narrow_terminal(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert inside("data", "where").out == GOLDEN.read_text(encoding="utf-8")


def test_json_has_the_same(inside: Inside) -> None:
    [found] = json.loads(inside("data", "where", "cityscapes", "--json").out)
    assert found["name"] == "cityscapes"
    assert [file["name"] for file in found["files"] if file["needed"]] == [
        "leftImg8bit_trainvaltest.zip",
        "gtFine_trainvaltest.zip",
        "disparity_trainvaltest.zip",
    ]
    assert "/license/" in found["terms"]


def test_an_unknown_name_is_refused(inside: Inside) -> None:
    shown = inside("data", "where", "kitti")
    assert shown.code == 2
    assert "no data set kitti; choose from nyuv2, cityscapes, mtan, labels" in shown.err


def test_commands_and_settings_that_it_names_exist() -> None:
    commands = [command for one in DISTRIBUTIONS for command in one.then if command.startswith("rdc-sweep ")]
    assert commands
    assert not [why for command in commands if (why := refusal(Command("where", command)))]
    exported = {
        command.removeprefix("export ").partition("=")[0]
        for one in DISTRIBUTIONS
        for command in one.then
        if command.startswith("export ")
    }
    assert {name.removeprefix("RDC_SWEEP_").lower() for name in exported} <= set(Settings.model_fields)
