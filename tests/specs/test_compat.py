"""From other code to the paper, one field at a time: every line of `experiments/compat/*.yaml` is a switch."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rdc_sweeps.errors import SpecError
from rdc_sweeps.specs.catalogue import Catalogue, Run
from rdc_sweeps.specs.document import read_document
from rdc_sweeps.specs.fields import DISCRIMINATORS, MISSING, at_path

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
CATALOGUE = Catalogue(EXPERIMENTS)
FILES = sorted(path.stem for path in (EXPERIMENTS / "compat").glob("*.yaml"))
PROFILE = "paper"


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted paths of a tree's values."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def lines(compat: str) -> list[str]:
    """The fields that a compat file sets, in its order."""
    overlays = read_document(EXPERIMENTS / "compat" / f"{compat}.yaml").data["overlays"]
    return list(dict.fromkeys(path for one in overlays for path in leaves(one["set"])))


def resolved(table: str, row: str, *settings: str, compat: str | None = None) -> Run:
    (run,) = CATALOGUE.runs(table, PROFILE, rows=[row], settings=settings, compat=compat)
    return run


def differing(run: Run, plain: Run, paths: list[str]) -> list[str]:
    """The paths at which two runs differ."""
    data, aim = (one.spec.model_dump(mode="json") for one in (run, plain))
    return [path for path in paths if at_path(data, path) != at_path(aim, path) and at_path(data, path) is not MISSING]


def back(path: str, plain: Run) -> str:
    """The `--set` that gives a field the value that it has without the compat file."""
    parent, _, last = path.rpartition(".")
    # A variant brings fields of its own.
    field = parent if last in DISCRIMINATORS else path
    return f"{field}={json.dumps(at_path(plain.spec.model_dump(mode='json'), field))}"


def walk(table: str, row: str, compat: str) -> Iterator[tuple[str, Run]]:
    """From the other code to the paper: each `--set` that takes a field back, and the run with all of them up to it.

    The first field is taken that gives a valid run; some need another one to be back first.
    """
    plain, run = resolved(table, row), resolved(table, row, compat=compat)
    settings: list[str] = []
    while remaining := differing(run, plain, lines(compat)):
        for path in remaining:
            try:
                run = resolved(table, row, *settings, back(path, plain), compat=compat)
            except SpecError:
                continue
            settings.append(back(path, plain))
            break
        else:
            raise AssertionError(f"none of these fields can be taken back alone: {remaining}")
        assert len(differing(run, plain, lines(compat))) < len(remaining), settings[-1]
        yield settings[-1], run


ROWS = [
    ("table3", "one-region-gaussian"),
    ("table3", "one-region-vector"),
    ("table3", "rand-patch-pixel"),
    ("table1", "one-hrnet-li"),
    ("table2", "hrnet-ours"),
]


@pytest.mark.parametrize("compat", FILES)
@pytest.mark.parametrize(("table", "row"), ROWS)
def test_set_leads_from_the_other_code_to_the_paper_one_field_at_a_time(compat: str, table: str, row: str) -> None:
    steps = list(walk(table, row, compat))
    assert steps
    ids = [resolved(table, row, compat=compat).id, *(run.id for _, run in steps)]
    assert len(set(ids)) == len(ids)
    assert ids[-1] == resolved(table, row).id
    assert steps[-1][1].changes == (f"--compat {compat}", *(f"--set {setting}" for setting, _ in steps))


@pytest.mark.parametrize("compat", FILES)
def test_every_line_changes_some_row(compat: str) -> None:
    unused = set(lines(compat))
    for table in CATALOGUE.tables:
        plain = CATALOGUE.runs(table, PROFILE)
        for run, without in zip(CATALOGUE.runs(table, PROFILE, compat=compat), plain, strict=True):
            unused -= set(differing(run, without, list(unused)))
    assert not unused, "these lines set what the paper's profile has anyway"
