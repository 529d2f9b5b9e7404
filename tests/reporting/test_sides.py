"""Rows and runs that are named on the command line."""

import pytest

from rdc_sweeps.errors import UsageError
from rdc_sweeps.reporting.sides import find_sides, only_rows
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Origin
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.settings import Settings
from tests.runs.writing import write_origin

from .conftest import Bench


@pytest.fixture
def settings(bench: Bench) -> Settings:
    return Settings(root=bench.root, experiments=bench.experiments, profile="cpu")


def request(bench: Bench, row: str, *seeds: int) -> list[RunDirectory]:
    found = []
    for run in bench.runs(rows=[row], seeds=seeds):
        found.append(RunDirectory(bench.root, run.id))
        request_run(found[-1], run.spec, Origin(table="table3", row=row, profile="cpu"))
    return found


def test_a_table_is_all_of_its_rows_with_runs(bench: Bench, settings: Settings) -> None:
    request(bench, "one-patch-vector", 0, 3)
    request(bench, "one-patch-pixel", 1)
    sides = find_sides(["table3"], settings)
    assert [(side.name, list(side.runs)) for side in sides] == [("one-patch-vector", [0, 3]), ("one-patch-pixel", [1])]
    assert sides[0].title == "table3/one-patch-vector, seeds 0, 3"
    assert sides[0].selection == "best-validation"
    assert sides[0].run(3).id == sides[0].runs[3].id
    assert sides[0].run(7).id == sides[0].runs[0].id
    assert [side.name for side in only_rows(sides, ["one-patch-pixel"])] == ["one-patch-pixel"]
    with pytest.raises(UsageError, match="no row with runs 'nothing'"):
        only_rows(sides, ["nothing"])


def test_rows_and_runs_are_named_apart(bench: Bench, settings: Settings) -> None:
    zero, one = request(bench, "one-patch-vector", 0, 1)
    sides = find_sides(["table3/one-patch-vector", zero.id[:8], one.id], settings)
    assert [list(side.runs) for side in sides] == [[0, 1], [0], [1]]
    assert len({side.name for side in sides}) == 3
    assert find_sides([zero.id, zero.id[:9]], settings)[0].runs == {0: sides[1].runs[0]} or len(sides) == 3


def test_seeds_narrow_a_row(bench: Bench, settings: Settings) -> None:
    request(bench, "one-patch-vector", 0, 1, 25)
    assert list(find_sides(["table3/one-patch-vector"], settings)[0].runs) == [0, 1]
    assert list(find_sides(["table3/one-patch-vector"], settings, seeds=[25])[0].runs) == [25]


def test_rows_that_were_trained_with_changes_are_found_with_them(bench: Bench, settings: Settings) -> None:
    changes = ["training.epochs=3"]
    (run,) = bench.runs(rows=["one-patch-vector"], seeds=[0], settings=changes)
    request_run(RunDirectory(bench.root, run.id), run.spec)
    assert find_sides(["table3"], settings, changes=changes)[0].runs[0].id == run.id
    with pytest.raises(UsageError, match="no run under profile cpu"):
        find_sides(["table3"], settings)


def test_hostile_names_are_made_visible(bench: Bench, settings: Settings) -> None:
    (directory,) = request(bench, "one-patch-vector", 0)
    write_origin(directory, Origin(table="t\x1b[2J", row="r\x07", profile="gone"))
    (side,) = find_sides([directory.id], settings)
    assert not {"\x1b", "\x07"} & set(side.name + side.title)
    assert side.selection == "last"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("tabel3/x", "there is no table 'tabel3'. Available: .*table3"),
        ("table3/nothing", "no row of table3 'nothing'"),
        ("table3", "table3: no run under profile cpu in .*train it with `rdc-sweep run table3 -p cpu`"),
        ("table3/one-patch-vector", "table3/one-patch-vector: no run under profile cpu"),
        ("0123", "no run '0123' in "),
    ],
)
def test_what_does_not_exist_is_told(target: str, message: str, settings: Settings) -> None:
    settings.root.mkdir()
    with pytest.raises(UsageError, match=message):
        find_sides([target], settings)
