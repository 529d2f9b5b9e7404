"""Variants of the contrast: measured on a small run, stored once, and set in a table."""

from pathlib import Path
from typing import Any

import pytest

import rdc_sweeps
from benchmarks.regime.page import regime_text
from benchmarks.regime.records import Measured, Regime, read_regime, write_regime
from benchmarks.regime.variants import BASE, ROW, VARIANTS
from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.document import Document, assignment, overlay
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.validation import build


def measured(name: str, run: str = "a" * 16, shift: float = 0.0, **changes: Any) -> Measured:
    fields: dict[str, Any] = {
        "group": "row",
        "name": name,
        "changes": () if name == BASE else (f"method.{name}",),
        "run": run,
        "refit": 200,
        "accuracy": {"own": 0.5, "other": 0.25, "constant": 0.0, "noise": 0.125, "truth": 0.5},
        "chance": 0.0625,
        "prediction": {task: {0: 0.01 + shift, 1: 0.03 + shift} for task in ("semantic", "depth", "normal")},
        "parameters": {"all": [0.1]},
        "ratio": 0.5,
        "path": [0.0, -0.1, -0.2, -0.1, 0.0],
    }
    return Measured(**{**fields, **changes})


def test_every_variant_is_a_valid_method_and_no_two_are_the_same() -> None:
    table, row = ROW.split("/")
    (run,) = rdc_sweeps.load_table(table, rows=[row], seeds=[0], profile="cpu").runs
    methods = set()
    for variant in VARIANTS:
        document = Document(run.spec.model_dump(mode="json"))
        for change in variant.changes:
            document = overlay(document, assignment(change))
        methods.add((build(RunSpec, document).method.model_dump_json(), variant.refit, variant.true_regions))
    assert len(methods) == len(VARIANTS)


def test_differences_to_the_row_are_paired_by_image() -> None:
    text = regime_text(Regime(measured=(measured(BASE), measured("other", shift=0.005))))
    base, other = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.strip().splitlines()[2:])
    assert base == [BASE, "1", *["+0.0200 ± 0.0100"] * 3, "+0.0200 ± 0.0058", ""]
    assert other[5:] == ["+0.0250 ± 0.0058", "+0.0050 ± 0.0000"]


def test_networks_of_a_variant_are_pooled_and_a_missing_task_shows_as_x() -> None:
    pooled = Regime(
        measured=(measured(BASE), measured(BASE, run="b" * 16), measured("x", prediction={"depth": {0: 0.1}}))
    )
    base, other = regime_text(pooled).strip().splitlines()[2:]
    assert base.split(" | ")[1] == "2"
    assert other.removesuffix(" |").split(" | ")[2:] == ["X", "+0.1000 ± X", "X", "X", "X"]


def test_other_steps_and_other_regions_are_other_variants() -> None:
    apart = (measured("x"), measured("x", refit=50), measured("x", true_regions=True))
    regime = Regime()
    for one in apart:
        regime = regime.with_(one)
    assert regime.measured == apart
    assert [line.split(" | ")[1] for line in regime_text(regime).strip().splitlines()[2:]] == ["1"] * 3


def test_the_row_that_a_variant_is_compared_with_was_measured_as_it_was() -> None:
    few = measured(BASE, shift=0.1, refit=50)
    of_few_images = measured(BASE, shift=0.2, images=8)
    lines = regime_text(Regime(measured=(few, of_few_images, measured(BASE), measured("x", shift=0.005))))
    assert lines.strip().splitlines()[-1].removesuffix(" |").split(" | ")[-1] == "+0.0050 ± 0.0000"


def test_what_is_measured_again_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    path = tmp_path / "regime.json"
    assert read_regime(path) == Regime()
    regime = Regime().with_(measured(BASE)).with_(measured("x")).with_(measured("x", shift=0.5))
    write_regime(path, regime)
    assert [one.prediction["depth"][0] for one in read_regime(path).measured] == [0.01, 0.51]
    path.write_text("{")
    with pytest.raises(UsageError, match="restore it"):
        read_regime(path)
