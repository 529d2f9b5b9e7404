import pytest
import torch

from rdc_sweeps.contrast import GaussianContrast, kl_divergence, region_contrast, region_gaussians
from rdc_sweeps.errors import UsageError


def test_every_region_gets_the_same_share_of_the_mean_variance() -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 4, 12, 6, dtype=torch.float64)
    regions = torch.arange(3).repeat_interleave(4)[None, :, None].expand(1, -1, 6)
    plain = region_gaussians(features, regions, shrinkage=0.0, ridge=0.0)
    pooled = region_gaussians(features, regions, shrinkage=0.0, ridge=0.0, pooled_ridge=0.5)
    variance = plain.covariance.diagonal(dim1=-2, dim2=-1).mean()
    expected = plain.covariance + 0.5 * variance * torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(pooled.covariance, expected)


def test_padded_and_small_regions_do_not_count() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 3, 8, 4)
    regions = torch.zeros(2, 8, 4, dtype=torch.int64)
    regions[1, 4:] = 1
    regions[0, 0, 0] = 7  # one pixel
    both = region_gaussians(features, regions, pooled_ridge=0.3)
    alone = region_gaussians(features[1:], regions[1:], pooled_ridge=0.3)
    torch.testing.assert_close(both.covariance[1, :2], alone.covariance[0])


def test_the_kl_of_a_constant_region_stays_in_bounds_with_it() -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 4, 8, 4)
    features[:, :, :4] = 1.0
    regions = torch.arange(2).repeat_interleave(4)[None, :, None].expand(1, -1, 4)
    wild = region_gaussians(features, regions)
    tame = region_gaussians(features, regions, pooled_ridge=0.1)
    assert kl_divergence(wild, wild, diagonal=True).max() > 1e6
    assert kl_divergence(tame, tame, diagonal=True).max() < 100
    strategy = GaussianContrast(distance="kl", diagonal=True, pooled_ridge=0.1)
    features.requires_grad_()
    loss = region_contrast(features, torch.randn(1, 4, 8, 4), regions, strategy).loss
    loss.backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert loss < 100


def test_a_negative_one_is_refused() -> None:
    with pytest.raises(UsageError, match="pooled_ridge"):
        GaussianContrast(pooled_ridge=-1.0)
