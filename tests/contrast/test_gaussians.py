from functools import partial

import torch

from rdc_sweeps.contrast import kl_divergence, region_contrast, region_gaussians, wasserstein2_squared
from rdc_sweeps.specs.contrast import CovarianceSpec, GaussianContrast

gaussians = partial(region_gaussians, min_pixels=2)


def test_every_region_gets_the_same_share_of_the_mean_variance() -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 4, 12, 6, dtype=torch.float64)
    regions = torch.arange(3).repeat_interleave(4)[None, :, None].expand(1, -1, 6)
    plain = gaussians(features, regions, CovarianceSpec(shrinkage=0.0, ridge=0.0))
    pooled = gaussians(features, regions, CovarianceSpec(shrinkage=0.0, ridge=0.0, pooled_ridge=0.5))
    variance = plain.covariance.diagonal(dim1=-2, dim2=-1).mean()
    expected = plain.covariance + 0.5 * variance * torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(pooled.covariance, expected)


def test_padded_and_small_regions_do_not_count() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 3, 8, 4)
    regions = torch.zeros(2, 8, 4, dtype=torch.int64)
    regions[1, 4:] = 1
    regions[0, 0, 0] = 7  # one pixel
    both = gaussians(features, regions, CovarianceSpec(pooled_ridge=0.3))
    alone = gaussians(features[1:], regions[1:], CovarianceSpec(pooled_ridge=0.3))
    torch.testing.assert_close(both.covariance[1, :2], alone.covariance[0])


def test_the_kl_of_a_constant_region_stays_in_bounds_with_it() -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 4, 8, 4)
    features[:, :, :4] = 1.0
    regions = torch.arange(2).repeat_interleave(4)[None, :, None].expand(1, -1, 4)
    wild = gaussians(features, regions, CovarianceSpec())
    tame = gaussians(features, regions, CovarianceSpec(pooled_ridge=0.1))
    assert kl_divergence(wild, wild, direction="a_to_b", diagonal=True).max() > 1e6
    assert kl_divergence(tame, tame, direction="a_to_b", diagonal=True).max() < 100
    spec = GaussianContrast(
        distance="kl", direction="a_to_b", diagonal=True, covariance=CovarianceSpec(pooled_ridge=0.1)
    )
    features.requires_grad_()
    loss = region_contrast(features, torch.randn(1, 4, 8, 4), regions, spec, min_pixels=2).loss
    loss.backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert loss < 100


def test_a_region_in_which_coarse_features_are_constant_has_a_distance_and_a_gradient() -> None:
    # A column of pixels between cells that differ from each other, but not along the column.
    columns = torch.rand(20, 16, 1, 12, generator=torch.Generator().manual_seed(0))
    regions = torch.zeros(20, 64, 96, dtype=torch.long)
    regions[:, :, 28], regions[:, :, 60:] = 1, 2
    for shrinkage in (0.0, 0.1):
        features = columns.expand(-1, -1, 8, -1).clone().requires_grad_()
        gaussians = region_gaussians(features, regions, CovarianceSpec(shrinkage=shrinkage), min_pixels=10)
        assert gaussians.valid.all()
        assert torch.linalg.eigvalsh(gaussians.covariance.double()).min() > 0
        distances = wasserstein2_squared(gaussians, root="polar")
        assert distances.isfinite().all()
        distances.sum().backward()
        assert features.grad is not None
        assert features.grad.isfinite().all()
