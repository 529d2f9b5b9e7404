"""The numbers of curves: means and ranges over seeds, thinning, and groups of rows."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rdc_sweeps.reporting.report import build_report
from rdc_sweeps.web.curves import MOST_POINTS, curve, row_groups
from tests.reporting.conftest import Bench


def seed(values: list[float | None]) -> list[dict[str, Any]]:
    return [{"epoch": epoch, "test": {"mIoU": value}, "validation": None} for epoch, value in enumerate(values)]


def test_the_band_reaches_from_the_lowest_to_the_highest_seed() -> None:
    found = curve([seed([1.0, 2.0, 9.0]), seed([3.0, 6.0]), []], "test", "mIoU")
    assert found is not None
    # As far as all seeds that have started.
    assert (found.epochs, found.seeds) == ([1, 2], 2)
    assert (found.low, found.mean, found.high) == ([1.0, 2.0], [2.0, 4.0], [3.0, 6.0])


def test_epochs_without_a_value_are_left_out() -> None:
    found = curve([seed([1.0, None, 3.0])], "test", "mIoU")
    assert found is not None
    assert (found.epochs, found.mean) == ([1, 3], [1.0, 3.0])
    assert curve([seed([None])], "test", "mIoU") is None
    assert curve([seed([1.0])], "validation", "mIoU") is None
    assert curve([], "test", "mIoU") is None


@given(st.lists(st.integers(1, 900), min_size=1, max_size=3))
@settings(max_examples=30)
def test_curves_have_few_points_first_and_last_among_them(lengths: list[int]) -> None:
    seeds = [seed([float(epoch * 37 % 11) for epoch in range(length)]) for length in lengths]
    found = curve(seeds, "test", "mIoU")
    assert found is not None
    shortest = min(lengths)
    assert found.epochs[0] == 1
    assert found.epochs[-1] == shortest
    assert len(found.epochs) <= min(shortest, MOST_POINTS + 1)
    assert all(low <= high for low, high in zip(found.low, found.high, strict=True))


def test_rows_are_grouped_with_what_they_are_compared_with(bench: Bench) -> None:
    report = build_report(bench.runs("cpu", seeds=[0]), bench.root)
    groups = row_groups(report)
    assert list(groups) == ["one-patch-vector", "rand-patch-vector"]
    assert [len(rows) for rows in groups.values()] == [6, 6]
    alone = build_report(bench.runs("cpu", seeds=[0], rows=["one-patch-vector"]), bench.root)
    assert row_groups(alone) == {"other rows": ["one-patch-vector"]}
