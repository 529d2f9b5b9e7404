"""The commands of the pages are executed: on a small data set, and with a scheduler that takes jobs."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rdc_sweeps.specs.catalogue import Catalogue
from tests.cli.conftest import Cli, Inside, cache, cli, environment, experiments, inside
from tests.dispatch.slurm.scheduler import Scheduler
from tests.docs.pages import ROOT, Command, blocks
from tests.docs.test_options import of_program, refusal

__all__ = ["cache", "cli", "environment", "experiments", "inside"]

ELSEWHERE = {
    "docs/extending.md": "tests/test_extending.py follows this page",
    "docs/own-data.md": "tests/docs/test_own_data.py follows this page",
}
"""Pages whose commands need what the pages make; these tests execute them."""

REFUSED_ONLY = {
    r"--watch| -w$": "ends when all runs have",
    "--epoch 3": "needs weights that a training has kept; tests/cli/test_probe.py has some",
    "postgresql:": "needs a server; tests/tuning has one",
    "--generator sam": "needs a checkpoint; tests/regions makes small ones",
    "rdc-sweep board": "ends with Ctrl-C; tests/cli/test_pages.py ends it",
    " data import ": "needs files of the owners; tests/docs/test_nyuv2.py and test_cityscapes.py import small ones",
    " data check ": "needs a data set; tests/cli/test_data_check.py and the tests of imports check some",
    " data pack ": "needs a data set; tests/cli/test_data_pack.py packs one",
    " notify": "needs channels; tests/cli/test_notify.py sets them up",
}
"""Commands that are not executed, only parsed, and why."""

DRY = {
    r" dashboard ": "needs a W&B server; tests/dashboards has one",
    r" tune ": "trains trials; tests/tuning does that",
    r" run table3 (--profile paper|(one-region-gaussian )?--set|--gpus-per-run)": "as docs/quickstart.md trains",
}
"""Commands that are executed with -n, and why."""

SHORTER = {"200": "2", "0,1,2,3,4": "0,1"}
"""Arguments that would take long, and what is given instead."""

SUPPOSED = ("rdc-sweep run findings one-mtl --profile cpu",)
"""What pages suppose to have been done."""

SMALL: dict[str, Any] = {
    "dataset": {"size": [64, 96], "train_images": 8, "validation_images": 4, "test_images": 4},
    "backbone": {"name": "segnet", "width": 2},
    "training": {"batch_size": 4},
}

ROWS = {
    "table3": ("one-patch-vector", "one-region-gaussian"),
    "findings": ("one-mtl", "one-rdc", "one-rdc-zeros"),
    "findings-rooms": ("one-mtl", "one-rdc"),
    "findings-regime": ("one-mtl", "one-rdc"),
}
"""The rows of the small tables; others of `findings` are found by their ids."""


def small_experiments(folder: Path) -> None:
    """The experiments as shipped, with few rows and a data set that trains in seconds under every profile."""
    shutil.copytree(ROOT / "experiments", folder)
    for name, rows in ROWS.items():
        path = folder / f"{name}.yaml"
        table = yaml.safe_load(path.read_text())
        table["rows"] = [row for row in table["rows"] if row["id"] in rows]
        path.write_text(yaml.safe_dump(table))
    drawn = yaml.safe_load((folder / "profiles" / "demo.yaml").read_text())["overlays"]
    for path in (folder / "profiles").glob("*.yaml"):
        profile = yaml.safe_load(path.read_text())
        profile["comparable"] = False
        labels = {"when": {"labels.origin": "published"}, "set": {"labels": {"origin": "generated"}}}
        profile["overlays"] = [*drawn, labels, {"set": SMALL}]
        path.write_text(yaml.safe_dump(profile))


@dataclass
class World:
    """Where commands are executed.

    Attributes:
        inside: Executes in this process.
        cli: Executes in another process.
        ids: Ids of runs as shown, and of the same rows in the small tables.
    """

    inside: Inside
    cli: Cli
    ids: Mapping[str, str]

    def failure(self, command: Command) -> str | None:
        """Execute a command; what went wrong, if anything."""
        arguments = [{**self.ids, **SHORTER}.get(one, one) for one in command.arguments[1:]]
        if any(re.search(pattern, command.text) for pattern in DRY) and "-n" not in arguments:
            arguments.append("-n")
        trains = arguments[0] == "regions" or (arguments[0] == "run" and not {"-n", "--dry-run"} & set(arguments))
        done = self.cli(*arguments, timeout=1800) if trains else self.inside(*arguments)
        code, message = (done.returncode, done.stderr) if trains else (done.code, done.err)  # type: ignore[union-attr]
        # `doctor` exits with 1 where something is broken, which is no mistake of the page.
        return (
            None
            if code == 0 or (code == 1 and arguments == ["doctor"])
            else f"{command}: exit code {code}: {message[-400:]}"
        )


@pytest.fixture
def world(environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> World:
    small_experiments(tmp_path / "small")
    scheduler = Scheduler(tmp_path / "scheduler")
    environment |= {"RDC_SWEEP_EXPERIMENTS": str(tmp_path / "small"), "PATH": scheduler.path}
    del environment["RDC_SWEEP_PROFILE"]
    shipped, small = Catalogue(ROOT / "experiments"), Catalogue(tmp_path / "small")
    ids = {}
    for table, profile in (("findings", "cpu"), ("table3", "demo")):
        for row in ROWS[table]:
            (one,), (other,) = (each.runs(table, profile, rows=[row], seeds=[0]) for each in (shipped, small))
            ids[one.id[:8]] = other.id
    ids |= dict.fromkeys(PLACEHOLDERS, next(iter(ids.values())))
    return World(request.getfixturevalue("inside"), request.getfixturevalue("cli"), ids)


PLACEHOLDERS = ("3f2a", "91c0")
"""Shown as ids of any runs."""


def executed() -> Sequence[Command]:
    """The commands to execute: trainings first, cancellations last, otherwise in the order of the pages."""
    chosen = [
        command
        for command in {one.text: one for one in of_program("rdc-sweep")}.values()
        if command.place.partition(":")[0] not in ELSEWHERE
        and not any(re.search(pattern, command.text) for pattern in REFUSED_ONLY)
    ]
    order = ("run", "", "cancel")
    return sorted(chosen, key=lambda one: order.index(one.arguments[1]) if one.arguments[1] in order else 1)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_commands_of_the_pages_work(world: World) -> None:
    chosen = [*(Command("supposed", text) for text in SUPPOSED), *executed()]
    failures = [failure for command in chosen if (failure := world.failure(command))]
    advice = (
        "correct these commands in the pages. If one cannot be executed here, give it a line in REFUSED_ONLY or DRY of "
        "this file with the reason; an id of a run must be of a row in ROWS"
    )
    assert not failures, "\n".join([advice, *failures])


def test_ids_in_pages_are_of_rows_that_exist() -> None:
    shipped = Catalogue(ROOT / "experiments")
    known = [run.id for profile in ("cpu", "demo") for table in shipped.tables for run in shipped.runs(table, profile)]
    of_runs = [command for command in of_program("rdc-sweep") if command.arguments[1] in ("probe", "show", "logs")]
    shown = {(one.place, word) for one in of_runs for word in one.arguments if re.fullmatch("[0-9a-f]{4,16}", word)}
    assert len(shown) > 5
    stale = [
        f"{place}: {one}"
        for place, one in sorted(shown)
        if one not in PLACEHOLDERS and not any(id_.startswith(one) for id_ in known)
    ]
    assert not stale, "\n".join(["no run has these ids; `rdc-sweep tables TABLE -p PROFILE` prints today's:", *stale])


def test_what_commands_print_is_what_pages_show(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDC_SWEEP_EXPERIMENTS", str(ROOT / "experiments"))
    shown = [command for command in of_program("rdc-sweep") if command.output is not None]
    assert len(shown) > 1
    for command in shown:
        done = inside(*command.arguments[1:])
        assert done.code == 0, f"{command}: {done.err}"
        printed = [line.rstrip() for line in (done.out + done.err).splitlines()]
        assert command.output is not None
        assert sorted(printed) == sorted(line.rstrip() for line in command.output.splitlines()), (
            f"{command}: show what it prints today:\n" + "\n".join(printed)
        )


def test_exceptions_are_needed() -> None:
    texts = [command.text for command in of_program("rdc-sweep")]
    for pattern in [*REFUSED_ONLY, *DRY]:
        assert any(re.search(pattern, text) for text in texts), (
            f"no page shows a command with {pattern!r}; remove this line"
        )
    pages = {str(command.place.partition(":")[0]) for command in of_program("rdc-sweep")}
    assert ELSEWHERE.keys() <= pages
    assert not any(refusal(Command("", text)) for text in SUPPOSED)


def test_studies_in_pages_are_valid(inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDC_SWEEP_EXPERIMENTS", str(ROOT / "experiments"))
    studies = [block for block in blocks() if block.text.startswith("# sweeps/")]
    assert studies
    for block in studies:
        path = tmp_path / Path(block.text.splitlines()[0]).name
        path.write_text(block.text)
        done = inside("tune", str(path), "--profile", "demo", "-n")
        assert done.code == 0, f"{block.page.name}:{block.line}: {done.err}"


def test_what_make_would_execute_is_accepted() -> None:
    for command in of_program("make"):
        done = subprocess.run(["make", "-n", *command.arguments[1:]], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        for line in done.stdout.splitlines():
            if "/rdc-sweep " in line:
                assert refusal(Command("Makefile", "rdc-sweep " + line.partition("/rdc-sweep ")[2])) is None, line


def test_the_small_tables_are_valid(inside: Inside, tmp_path: Path) -> None:
    small_experiments(tmp_path / "small")
    done = inside("validate", "--experiments", str(tmp_path / "small"))
    assert done.code == 0, done.err
