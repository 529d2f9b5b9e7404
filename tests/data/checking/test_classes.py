from dataclasses import replace
from pathlib import Path

import numpy as np

from rdc_sweeps.data.checking.check import SPLITS, measure_split
from rdc_sweeps.data.checking.classes import check_places, check_shares
from rdc_sweeps.data.checking.expectations import ROOMS, Expectation
from rdc_sweeps.data.checking.split import SplitMeasures


def measured(root: Path, **expected: object) -> list[SplitMeasures]:
    expectation: Expectation = replace(ROOMS, **expected)  # type: ignore[arg-type]
    return [measure_split(root, name, expectation, 1, None) for name in SPLITS]


def shares(root: Path) -> tuple[float, ...]:
    """Those of the training images."""
    counts = measured(root)[0].labels[2:-1]
    return tuple((counts / counts.sum()).tolist())


def moved(found: tuple[float, ...], by: float) -> tuple[float, ...]:
    """Shares with a total variation of `by` from these: what the floor has too much, the bed has too little."""
    change = np.zeros(len(found))
    change[[0, 4]] = by, -by
    return tuple((np.array(found) + change).tolist())


def test_shares_of_all_images_are_compared_strictly(rooms: Path) -> None:
    found, whole = shares(rooms), (40, 20)
    for by, some, strict in ((0.0, "ok", "ok"), (0.2, "ok", "warning"), (0.5, "error", "error")):
        changed = moved(found, by)
        for counts, level in ((whole, strict), (None, some)):
            check = check_shares(measured(rooms, shares=changed, void=0.0, counts=counts))
            assert check.level == level, check
    assert "floor" in check.found
    assert "in the documented order: bed, books" in (check.remedy or "")


def test_void_pixels_are_counted(rooms: Path) -> None:
    check = check_shares(measured(rooms, shares=shares(rooms), void=0.2, counts=(40, 20)))
    assert check.level == "warning"
    assert check.remedy == "write -1 where there is no label; 0 is the first class"
    assert check_shares(measured(rooms)).level == "skipped"


def test_classes_lie_where_they_should(rooms: Path) -> None:
    assert check_places(measured(rooms)).level == "ok"
    other = check_places(measured(rooms, lowest="wall", highest="floor"))
    assert other.level == "error"
    assert "in the documented order" in (other.remedy or "")
    unknown = check_places(measured(rooms, lowest=None))
    assert (unknown.level, unknown.found) == ("skipped", "not known of rooms")
