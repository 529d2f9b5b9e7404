import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn
from torch import Tensor

from rdc_sweeps.methods.redaction import checkerboard, redact, without_band
from rdc_sweeps.specs.method import CheckerboardRedaction, SpectralRedaction

sizes = st.integers(1, 24)


def image(height: int, width: int) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(height * 100 + width)) + 0.1


@settings(max_examples=30)
@given(sizes, sizes, st.integers(1, 9))
def test_a_checkerboard_keeps_every_other_block(height: int, width: int, block: int) -> None:
    full = image(height, width)
    redacted = checkerboard(full, block)
    for row in range(height):
        for column in range(width):
            stays = (row // block) % 2 == (column // block) % 2
            expected = full[:, :, row, column] if stays else torch.zeros(2, 3)
            assert torch.equal(redacted[:, :, row, column], expected)


def test_a_checkerboard_keeps_half_of_the_pixels() -> None:
    assert checkerboard(torch.ones(1, 1, 32, 48), 8).mean() == 0.5


def frequencies(height: int, width: int) -> Tensor:
    return torch.tensor([[math.hypot(u / height, v / width) for v in range(width)] for u in range(height)])


@pytest.mark.parametrize("band", [(0.1, None), (0.0, 0.3), (0.2, 0.5), (0.5, 2.0)])
@pytest.mark.parametrize("size", [(32, 48), (21, 17)])
def test_the_cosine_transform_lacks_the_band_and_nothing_else(
    size: tuple[int, int], band: tuple[float, float | None]
) -> None:
    full = image(*size).double()
    lower, upper = band
    before, after = (
        torch.from_numpy(dctn(x.numpy(), axes=(2, 3), norm="ortho")) for x in (full, without_band(full, *band))
    )
    frequency = frequencies(*size)
    removed = (frequency >= lower) & (frequency < (math.inf if upper is None else upper))
    assert removed.any()
    assert not removed.all()
    torch.testing.assert_close(after, torch.where(removed, 0.0, before), atol=1e-6, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(sizes, sizes, st.floats(0, 0.9), st.none() | st.floats(0.05, 2))
def test_energy_is_that_of_what_stays_plus_that_of_what_goes(
    height: int, width: int, lower: float, upper: float | None
) -> None:
    full = image(height, width).double()
    kept = without_band(full, lower, None if upper is None else lower + upper)
    gone = full - kept
    torch.testing.assert_close(kept.square().sum() + gone.square().sum(), full.square().sum(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(without_band(kept, lower, None if upper is None else lower + upper), kept)


def test_low_frequencies_hold_the_mean_and_their_removal_takes_it() -> None:
    full = image(16, 24)
    torch.testing.assert_close(without_band(full, 0.1, None).mean((2, 3)), full.mean((2, 3)))
    torch.testing.assert_close(without_band(full, 0.0, 0.1).mean((2, 3)), torch.zeros(2, 3), atol=1e-6, rtol=0)


def test_autocast_does_not_blur_the_spectrum() -> None:
    full = image(32, 48)
    with torch.autocast("cpu", torch.bfloat16):
        inside = without_band(full, 0.2, 0.5)
    assert torch.equal(inside, without_band(full, 0.2, 0.5))


def test_the_spec_chooses() -> None:
    full = image(16, 24)
    assert torch.equal(redact(full, CheckerboardRedaction(block=4)), checkerboard(full, 4))
    assert torch.equal(redact(full, SpectralRedaction(lower=0.2, upper=0.4)), without_band(full, 0.2, 0.4))
