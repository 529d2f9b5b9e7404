from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.errors import UsageError
from rdc_sweeps.processes.devices import device_masks, processes_per_run, visible_gpus

NAMES = st.lists(st.uuids().map(lambda one: f"GPU-{one}"), min_size=1, max_size=9, unique=True)


@pytest.mark.parametrize(
    ("gpus_per_run", "expected"),
    [
        (1, ["a", "b", "c"]),
        (2, ["a,b"]),
        (3, ["a,b,c"]),
        (0.5, ["a", "b", "c", "a", "b", "c"]),
        (0.6, ["a", "b", "c"]),
        (1 / 3, ["a", "b", "c"] * 3),
    ],
)
def test_runs_get_whole_gpus_or_share_them(gpus_per_run: float, expected: list[str]) -> None:
    assert device_masks(["a", "b", "c"], gpus_per_run) == expected


@given(NAMES, st.integers(1, 9))
def test_whole_gpus_are_not_shared_and_as_many_runs_as_fit_get_theirs(gpus: list[str], each: int) -> None:
    if each > len(gpus):
        with pytest.raises(UsageError, match=f"gpus_per_run: {each} GPUs, but this machine shows {len(gpus)}"):
            device_masks(gpus, each)
        return
    masks = [mask.split(",") for mask in device_masks(gpus, each)]
    assert all(len(mask) == each == processes_per_run(each) for mask in masks)
    used = [name for mask in masks for name in mask]
    assert len(set(used)) == len(used)
    assert len(gpus) - len(used) < each


@given(NAMES, st.floats(0.05, 1))
def test_shared_gpus_are_never_oversubscribed(gpus: list[str], part: float) -> None:
    load = Counter(device_masks(gpus, part))
    assert set(load) == set(gpus)
    for runs in load.values():
        assert runs * part <= 1 + 1e-6
        assert (runs + 1) * part > 1 - 1e-6


@pytest.mark.parametrize(("gpus_per_run", "expected"), [(0.25, 1), (1.0, 1), (2.0, 2), (8.0, 8)])
def test_every_whole_gpu_has_a_process(gpus_per_run: float, expected: int) -> None:
    assert processes_per_run(gpus_per_run) == expected


@pytest.mark.parametrize("nonsense", [1.5, 2.25, 0.0, -1.0, float("nan")])
def test_nonsense_is_an_error(nonsense: float) -> None:
    with pytest.raises(UsageError, match="gpus_per_run"):
        processes_per_run(nonsense)


@pytest.mark.parametrize(
    ("count", "mask", "expected"),
    [
        (3, None, ["0", "1", "2"]),
        (2, "", ["0", "1"]),
        (2, "5, 2", ["5", "2"]),
        (2, "GPU-1,GPU-2,-1,GPU-3", ["GPU-1", "GPU-2"]),
        (0, "-1", []),
    ],
)
def test_the_mask_of_the_parent_is_respected(count: int, mask: str | None, expected: list[str]) -> None:
    assert visible_gpus(count, mask) == expected
