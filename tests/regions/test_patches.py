import torch
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.regions.patches import patch_regions

sides = st.integers(1, 40)


@given(sides, sides, st.integers(1, 12))
def test_patches_are_numbered_windows(height: int, width: int, size: int) -> None:
    ids = patch_regions(height, width, size)
    assert ids.shape == (height, width)
    assert ids.dtype == torch.int32
    across = -(-width // size)
    assert set(ids.flatten().tolist()) == set(range(across * -(-height // size)))
    for row, column in ((0, 0), (height - 1, width - 1), (height // 2, width // 3)):
        assert ids[row, column] == row // size * across + column // size


def test_windows_of_the_release() -> None:
    counts = patch_regions(144, 192, 8).flatten().bincount()
    assert counts.tolist() == [64] * (18 * 24)
