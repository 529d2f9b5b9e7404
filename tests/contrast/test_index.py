from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.fidelity.references import equations as oracle
from rdc_sweeps.contrast import index_regions, region_gaussians, region_means
from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.contrast import CovarianceSpec, Shrinkage

DEFAULT = CovarianceSpec()
gaussians = partial(region_gaussians, min_pixels=2)


def random_regions(seed: int, batch: int = 2, height: int = 9, width: int = 11, number: int = 6) -> Tensor:
    """Sparse ids up to far beyond 2^16, a few pixels without region, another number of regions in every image."""
    generator = torch.Generator().manual_seed(seed)
    names = torch.randint(0, 2**20, (batch, number), generator=generator)
    which = torch.randint(0, number, (batch, height, width), generator=generator)
    which = which % (1 + torch.arange(batch)[:, None, None] * (number - 1) // max(batch - 1, 1))
    regions = names.gather(1, which.flatten(1)).reshape(batch, height, width)
    return torch.where(torch.rand(batch, height, width, generator=generator) < 0.1, -1, regions)


@given(seed=st.integers(0, 10**6), batch=st.integers(1, 4), number=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_slots_follow_the_order_of_the_ids(seed: int, batch: int, number: int) -> None:
    regions = random_regions(seed, batch, number=number)
    index = index_regions(regions)
    for image in range(batch):
        ids, counts = np.unique(regions[image][regions[image] >= 0], return_counts=True)
        assert index.ids[image, : len(ids)].tolist() == ids.tolist()
        assert (index.ids[image, len(ids) :] == -1).all()
        assert index.counts[image, : len(ids)].tolist() == counts.tolist()
        assert index.counts[image].sum() == counts.sum()
        for slot, name in enumerate(ids):
            assert ((index.slots[image] == slot) == (regions[image] == name)).all()
    assert (index.slots[regions < 0] == -1).all()
    assert index.counts.shape[1] == max(1, max(len(np.unique(r[r >= 0])) for r in regions.numpy()))


@given(seed=st.integers(0, 10**6), batch=st.integers(1, 3), number=st.integers(1, 30), d=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_gaussians_agree_with_loops(seed: int, batch: int, number: int, d: int) -> None:
    regions = random_regions(seed, batch, number=number)
    features = 3 + torch.randn(batch, d, 9, 11, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = region_gaussians(features, regions, CovarianceSpec(shrinkage=0.2, ridge=0.01), min_pixels=3)
    for image in range(batch):
        expected = oracle.gaussians(features[image].numpy(), regions[image].numpy(), 0.2, 0.01, 3)
        valid = found.valid[image]
        assert valid.sum() == len(expected)
        if expected:
            np.testing.assert_allclose(found.mean[image][valid], np.stack([m for m, _ in expected]), rtol=1e-9)
            np.testing.assert_allclose(
                found.covariance[image][valid], np.stack([c for _, c in expected]), rtol=1e-9, atol=1e-11
            )


def test_moments_of_a_coarse_map_are_those_of_its_bilinear_resampling() -> None:
    regions = random_regions(1, height=24, width=40)
    coarse = torch.randn(2, 5, 3, 5, dtype=torch.float64)
    fine = F.interpolate(coarse, size=(24, 40), mode="bilinear", align_corners=False)
    one, other = (gaussians(features, regions, DEFAULT) for features in (coarse, fine))
    torch.testing.assert_close(one.mean, other.mean)
    torch.testing.assert_close(one.covariance, other.covariance)
    torch.testing.assert_close(region_means(coarse, index_regions(regions)), region_means(fine, index_regions(regions)))


@given(
    seed=st.integers(0, 10**6),
    number=st.integers(1, 30),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    fine=st.tuples(st.integers(16, 21), st.integers(16, 23)),
)
@settings(max_examples=40, deadline=None)
def test_weights_on_cells_are_exact(seed: int, number: int, size: tuple[int, int], fine: tuple[int, int]) -> None:
    regions = random_regions(seed, 3, *fine, number=number)
    coarse = 5 + torch.randn(3, 4, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    coarse.requires_grad_()
    results = []
    for feature_size in (None, size):
        index = index_regions(regions, number + 2, feature_size=feature_size).select(torch.tensor([2, 0, 1, 0]))
        g = gaussians(coarse[[2, 0, 1, 0]], index, CovarianceSpec(ridge=0.0))
        means = region_means(coarse[[2, 0, 1, 0]], index)
        weights = torch.linspace(1, 2, g.covariance.numel(), dtype=torch.float64).reshape(g.covariance.shape)
        weights = weights + weights.mT
        (gradient,) = torch.autograd.grad((weights * g.covariance).sum() + means.square().sum(), coarse)
        results.append((g.mean, g.covariance, means, gradient))
    torch.testing.assert_close(results[1], results[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, "oas"])
@pytest.mark.parametrize("size", [(6, 7), (3, 4)])
def test_gaussians_gradcheck(shrinkage: Shrinkage, size: tuple[int, int]) -> None:
    regions = random_regions(4, height=6, width=7, number=4)
    features = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)

    def moments(features: Tensor) -> tuple[Tensor, Tensor]:
        g = gaussians(features, regions, CovarianceSpec(shrinkage=shrinkage))
        return g.mean, g.covariance

    assert torch.autograd.gradcheck(moments, (features,))


def test_oas_is_the_closed_form_of_chen() -> None:
    samples = np.random.default_rng(0).normal(size=(40, 6)) * [1, 2, 3, 1, 0.5, 4]
    s = np.cov(samples.T)
    p, n, trace, square = 6, 40, np.trace(s), np.sum(s * s)
    alpha = ((1 - 2 / p) * square + trace**2) / ((n + 1 - 2 / p) * (square - trace**2 / p))
    features = torch.tensor(samples.T.reshape(1, 6, 8, 5))
    found = gaussians(features, torch.zeros(1, 8, 5, dtype=torch.int32), CovarianceSpec(shrinkage="oas", ridge=0.0))
    assert 0 < alpha < 1
    np.testing.assert_allclose(found.covariance[0, 0], (1 - alpha) * s + alpha * trace / p * np.eye(6), rtol=1e-9)


def test_far_regions_keep_their_covariance_in_single_precision() -> None:
    regions = torch.arange(4)[None, :, None].expand(1, 4, 400)
    noise = torch.randn(1, 3, 4, 400, dtype=torch.float64) * 0.01
    far = (noise + 100 * torch.arange(1, 5, dtype=torch.float64)[None, None, :, None]).float()
    bare = CovarianceSpec(shrinkage=0, ridge=0)
    exact = gaussians(far.double(), regions, bare).covariance
    found = gaussians(far, regions, bare).covariance
    assert (found - exact).abs().max() < 1e-2 * exact.abs().max()


def test_max_regions_pads_or_drops() -> None:
    regions = torch.tensor([[[5, 5, 9, 70000]], [[1, 1, 1, -7]]])
    padded = index_regions(regions, max_regions=6)
    assert padded.counts.tolist() == [[2, 1, 1, 0, 0, 0], [3, 0, 0, 0, 0, 0]]
    assert padded.ids[0].tolist() == [5, 9, 70000, -1, -1, -1]
    cut = index_regions(regions, max_regions=2)
    assert cut.counts.tolist() == [[2, 1], [3, 0]]
    assert cut.slots.tolist() == [[[0, 0, 1, -1]], [[0, 0, 0, -1]]]
    features = torch.randn(2, 3, 1, 4)
    full, small = gaussians(features, regions, DEFAULT), gaussians(features, cut, DEFAULT)
    torch.testing.assert_close(full.covariance[:, :2], small.covariance)


def test_an_index_serves_several_items_of_one_image() -> None:
    regions = random_regions(3)
    images = torch.tensor([1, 0, 1])
    features = torch.randn(3, 4, 9, 11)
    one = gaussians(features, index_regions(regions).select(images), DEFAULT)
    other = gaussians(features, regions[images], DEFAULT)
    torch.testing.assert_close(one.covariance, other.covariance)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_any_integer_type(dtype: torch.dtype) -> None:
    regions = torch.tensor([[[3, 3, 7, 100]]], dtype=dtype)
    assert index_regions(regions).ids.tolist() == [[3, 7, 100]]


def test_errors_name_the_remedy() -> None:
    features, regions = torch.zeros(2, 3, 4, 5), torch.zeros(2, 4, 5, dtype=torch.long)
    with pytest.raises(UsageError, match=r"regions\[None\]"):
        index_regions(regions[0])
    with pytest.raises(UsageError, match="integer"):
        index_regions(features[:, 0])
    with pytest.raises(UsageError, match="max_regions"):
        index_regions(regions, 0)
    with pytest.raises(UsageError, match="select"):
        gaussians(features[:1], regions, DEFAULT)
    with pytest.raises(UsageError, match="floating"):
        gaussians(features.long(), regions, DEFAULT)
    with pytest.raises(UsageError, match="min_pixels"):
        region_gaussians(features, regions, DEFAULT, min_pixels=0)
