"""Gaussians of few cells: the same distances and gradients as those of any rank."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rdc_sweeps.contrast import (
    Gaussians,
    RegionIndex,
    index_regions,
    low_rank,
    region_gaussians,
    wasserstein2_squared,
)
from rdc_sweeps.contrast.gaussians import LowRank
from rdc_sweeps.contrast.low_rank import low_rank_roots
from rdc_sweeps.regions.maps import patch_regions
from rdc_sweeps.specs.contrast import CovarianceSpec

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}


def relative(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm().clamp_min(1e-30))


def low_rank_gaussians(
    ranks: list[int], d: int, r: int, seed: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Means, factors of the given ranks, some of which share directions with the first, and floors."""
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    factor = torch.randn(len(ranks), d, r, **draw)  # type: ignore[call-overload]
    for region, rank in enumerate(ranks):
        if region % 3 == 2:
            factor[region, :, : r // 2] = factor[0, :, : r // 2]
        factor[region, :, rank:] = 0
    mean = torch.randn(len(ranks), d, **draw)  # type: ignore[call-overload]
    floor = 0.02 + torch.rand(len(ranks), **draw)  # type: ignore[call-overload]
    return mean.to(dtype), factor.to(dtype), floor.to(dtype)


@given(
    ranks=st.lists(st.integers(0, 8), min_size=2, max_size=9),
    d=st.sampled_from([16, 32]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    itself=st.booleans(),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=20, deadline=None)
def test_distances_and_gradients_are_those_of_full_rank(
    ranks: list[int], d: int, dtype: torch.dtype, itself: bool, seed: int
) -> None:
    values = [low_rank_gaussians(ranks, d, 8, seed, dtype), low_rank_gaussians(ranks[::-1], d, 8, seed + 1, dtype)]
    weights = torch.rand(len(ranks), len(ranks), generator=torch.Generator().manual_seed(seed))
    known = torch.ones(len(ranks), dtype=torch.bool)
    # Gradients of pairs of any rank are worse than 1e-5 in single precision, so they stand beside in double only.
    known[1::4] = dtype == torch.float32
    results = []
    for low in (True, False):
        leaves = [[value.to(dtype if low else torch.float64).requires_grad_() for value in side] for side in values]
        sides = []
        for mean, factor, floor in leaves:
            covariance = factor @ factor.mT + floor[:, None, None] * torch.eye(d, dtype=mean.dtype)
            factors = LowRank(known=known, factor=factor, floor=floor) if low else None
            sides.append(Gaussians(mean=mean, covariance=covariance, low_rank=factors))
        found = wasserstein2_squared(sides[0], None if itself else sides[1], root="polar")
        wanted = leaves[0] if itself else [*leaves[0], *leaves[1]]
        gradients = torch.autograd.grad((weights.to(found) * found).sum(), wanted)
        results.append([value.double() for value in (found.detach(), *gradients)])
    for one, other in zip(*results, strict=True):
        assert relative(one, other) < TOLERANCES[dtype]


def test_the_last_term_by_eigenvalues() -> None:
    _, factor, floor = low_rank_gaussians([0, 3, 8], 16, 8, 1, torch.float64)
    covariances = LowRank(known=torch.ones(1, 3, dtype=torch.bool), factor=factor[None], floor=floor[None])
    found = low_rank_roots(covariances, covariances, symmetric=True)[0]
    covariance = factor @ factor.mT + floor[:, None, None] * torch.eye(16, dtype=torch.float64)
    roots = torch.linalg.eigvals(covariance[:, None] @ covariance).real.sqrt().sum(2).fill_diagonal_(1)
    torch.testing.assert_close(found, roots, rtol=1e-12, atol=0)


def test_gradients_are_those_of_finite_differences() -> None:
    _, factor, floor = low_rank_gaussians([4, 4, 2], 8, 4, 2, torch.float64)
    known = torch.ones(1, 3, dtype=torch.bool)

    def roots(factor: Tensor, floor: Tensor) -> Tensor:
        covariances = LowRank(known=known, factor=factor[None], floor=floor[None])
        return low_rank_roots(covariances, covariances, symmetric=True)

    assert torch.autograd.gradcheck(roots, (factor.requires_grad_(), floor.requires_grad_()))


@pytest.mark.parametrize("d", [16, 32])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_spans_may_share_directions(d: int, dtype: torch.dtype) -> None:
    _, factor, floor = low_rank_gaussians([8] * 100, d, 8, 0, dtype)
    factor[:, :, :4] = factor[0, :, :4]
    known = torch.ones(1, 100, dtype=torch.bool)
    covariances = LowRank(known=known, factor=factor[None], floor=floor[None])
    found = low_rank_roots(covariances, covariances, symmetric=True)[0]
    factor, floor = factor.double(), floor.double()
    roots = torch.linalg.cholesky(factor @ factor.mT + floor[:, None, None] * torch.eye(d, dtype=torch.float64))
    expected = torch.linalg.svdvals(roots[:, None].mT @ roots).sum(2).fill_diagonal_(1)
    torch.testing.assert_close(found.double(), expected, rtol=TOLERANCES[dtype] / 2, atol=0)


@pytest.mark.parametrize(
    "spec", [CovarianceSpec(), CovarianceSpec(shrinkage="oas", pooled_ridge=0.1), CovarianceSpec(shrinkage=0.0)]
)
def test_the_form_of_low_rank_is_the_covariance(spec: CovarianceSpec) -> None:
    regions = torch.stack([patch_regions(48, 64, 8), torch.arange(48 * 64).reshape(48, 64) // 700])
    regions[0, :8, :8] = -1
    index = index_regions(regions, feature_size=(6, 8))
    features = torch.randn(2, 32, 6, 8, dtype=torch.float64) + 3
    features[0, :, 3:] = 1.5  # constant regions
    g = region_gaussians(features, index, spec, min_pixels=10)
    assert g.low_rank is not None
    assert g.low_rank.known[0].sum() == 47  # patches, but for the one without pixels
    assert not g.low_rank.known[1].any()  # of ten rows
    rebuilt = g.low_rank.factor @ g.low_rank.factor.mT + g.low_rank.floor[..., None, None] * torch.eye(32).double()
    torch.testing.assert_close(rebuilt[g.low_rank.known], g.covariance[g.low_rank.known], rtol=1e-9, atol=1e-12)


@given(seed=st.integers(0, 10**6), size=st.tuples(st.integers(1, 5), st.integers(1, 6)))
@settings(max_examples=25, deadline=None)
def test_small_regions_are_those_of_at_most_nine_cells(seed: int, size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(-1, 12, (1, 5, 6), generator=generator)
    regions = blocks.repeat_interleave(7, 1).repeat_interleave(8, 2)
    index = index_regions(regions, feature_size=size)
    assert index.cells is not None
    features = torch.randn(1, 32, *size, generator=generator, dtype=torch.float64).requires_grad_()
    for slot, number in enumerate(index.counts[0].tolist()):
        inside = (index.slots == slot).to(torch.float64)[:, None]
        resampled = torch.nn.functional.interpolate(features, regions.shape[1:], mode="bilinear")
        (touched,) = torch.autograd.grad((resampled * inside).sum(), features)
        cells = int((touched[0, 0] > 1e-12).sum())
        assert bool(index.cells.small.known[0, slot]) == (number > 0 and cells <= 9)


def test_many_regions_are_compared_in_tiles() -> None:
    index = index_regions(patch_regions(80, 96, 8)[None].expand(2, -1, -1), feature_size=(10, 12))
    features = torch.randn(2, 32, 10, 12, generator=torch.Generator().manual_seed(0), requires_grad=True)
    g = region_gaussians(features, index, CovarianceSpec(), min_pixels=10)
    plain = dataclasses.replace(g, low_rank=None)
    results = []
    for one in (g, plain):
        found = wasserstein2_squared(one, root="polar")
        results.append((found.detach(), torch.autograd.grad(found.sqrt().mean(), features, retain_graph=True)[0]))
    assert relative(results[0][0], results[1][0]) < 1e-5
    assert relative(results[0][1], results[1][1]) < 1e-4
    assert results[0][0].shape == (2, 120, 120)


def distances_and_gradient(index: RegionIndex, features: Tensor) -> tuple[Tensor, Tensor]:
    found = wasserstein2_squared(region_gaussians(features, index, CovarianceSpec(), min_pixels=10), root="polar")
    return found.detach(), torch.autograd.grad(found.sqrt().mean(), features)[0]


def test_neither_threads_nor_what_is_kept_change_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    regions = patch_regions(48, 64, 8)[None].repeat(3, 1, 1)
    regions[0, :24] = -1
    regions[2] = -1  # an image without pairs
    index = index_regions(regions, feature_size=(6, 8))
    features = torch.randn(3, 32, 6, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = distances_and_gradient(index, features)
        monkeypatch.setattr(low_rank, "KEEP_BYTES", 0)
        again = distances_and_gradient(index, features)
        torch.set_num_threads(3)
        shared = distances_and_gradient(index, features)
    finally:
        torch.set_num_threads(threads)
    for one, other, third in zip(expected, again, shared, strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one, third)
    assert torch.equal(expected[0], shared[0])


def test_features_that_are_not_numbers_stop_nothing() -> None:
    index = index_regions(patch_regions(48, 64, 8)[None], feature_size=(6, 8))
    features = torch.randn(1, 32, 6, 8, generator=torch.Generator().manual_seed(0))
    features[0, 5, 0, 0] = torch.nan
    for values in distances_and_gradient(index, features.requires_grad_()):
        assert values.isnan().any()
