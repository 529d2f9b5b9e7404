"""Images with few regions or none: every contrast has a loss and a gradient, and says which items count."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rdc_sweeps.contrast import index_regions, region_contrast
from rdc_sweeps.specs.contrast import ContrastSpec, CovarianceSpec, GaussianContrast, PixelContrast, VectorContrast

MIN_PIXELS = 10
FINE, COARSE = (24, 32), (3, 4)

SPECS: list[ContrastSpec] = [
    spec.model_copy(update={"negatives": negatives})
    for negatives in ("both", "other")
    for spec in (
        GaussianContrast(),
        GaussianContrast(root="svdvals", covariance=CovarianceSpec(shrinkage="oas", pooled_ridge=0.1)),
        GaussianContrast(distance="kl", negative_count=2),
        VectorContrast(),
        VectorContrast(distance="squared_euclidean", negative_count=2),
        PixelContrast(temperature=0.5),
        PixelContrast(temperature=0.5, pixels_per_region=None),
    )
]


def image(kind: str) -> Tensor:
    """A region map (24, 32) with as many regions of at least 10 pixels as USABLE says."""
    regions = torch.full(FINE, -1)
    if kind == "one":
        regions[:] = 5
    elif kind == "one and void":
        regions[:, :20] = 0
    elif kind == "small":
        regions.view(-1)[:81] = torch.arange(9).repeat(9)
    elif kind == "one of two is small":
        regions[:4], regions[4, :3] = 2, 9
    elif kind == "two":
        regions[:, :10], regions[20:, 12:] = 70000, 1
    elif kind == "many":
        regions = torch.arange(24 * 32).reshape(FINE) // 40
    return regions


USABLE = {"none": 0, "small": 0, "one": 1, "one and void": 1, "one of two is small": 1, "two": 2, "many": 19}


@given(
    kinds=st.lists(st.sampled_from(sorted(USABLE)), max_size=3),
    spec=st.sampled_from(SPECS),
    size=st.sampled_from([FINE, COARSE]),
    cells=st.booleans(),
    max_regions=st.sampled_from([None, 1, 30]),
)
@settings(max_examples=60, deadline=None)
def test_any_number_of_regions_has_a_loss_and_a_gradient(
    kinds: list[str], spec: ContrastSpec, size: tuple[int, int], cells: bool, max_regions: int | None
) -> None:
    regions = torch.stack([image(kind) for kind in kinds]) if kinds else torch.empty(0, *FINE, dtype=torch.int64)
    index = index_regions(regions, max_regions, feature_size=size) if cells else index_regions(regions, max_regions)
    check(spec, index, [min(USABLE[kind], max_regions or 19) for kind in kinds], size)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("kind", ["none", "small", "one", "one of two is small"])
def test_a_batch_without_two_regions_in_any_image_counts_as_nothing(spec: ContrastSpec, kind: str) -> None:
    check(spec, image(kind)[None], [USABLE[kind]], COARSE)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_an_empty_share_of_a_batch_counts_as_nothing(spec: ContrastSpec) -> None:
    """Images that have no items: their regions are indexed, and none is selected."""
    index = index_regions(torch.stack([image("many"), image("none")]), feature_size=COARSE)
    check(spec, index.select(torch.tensor([], dtype=torch.int64)), [], COARSE)


def check(spec: ContrastSpec, regions: Any, usable: list[int], size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(len(usable))
    sides = [torch.randn(len(usable), 5, *size, generator=generator, requires_grad=True) for _ in range(2)]
    found = region_contrast(sides[0], sides[1], regions, spec, min_pixels=MIN_PIXELS)
    torch.autograd.backward(found.loss)
    used = [number >= 2 for number in usable]
    assert found.used.tolist() == used
    assert (found.losses > 0).tolist() == used
    assert (found.loss > 0) == any(used)
    for side in sides:
        assert side.grad is not None
        assert side.grad.isfinite().all()
        assert (side.grad.flatten(1).abs().sum(1) > 0).tolist() == used
    diagnostics = found.diagnostics
    for value in (diagnostics.positive_distance, diagnostics.negative_distance, diagnostics.accuracy):
        assert value.isfinite() == any(used)
    if usable:
        assert diagnostics.regions == pytest.approx(sum(usable) / len(usable))
    else:
        assert diagnostics.regions.isnan()
