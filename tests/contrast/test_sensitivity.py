"""Every region that eq. 3 names has a say in the loss: the positive, and each negative."""

import pytest
import torch

from rdc_sweeps.contrast import info_nce, region_contrast
from rdc_sweeps.specs.contrast import ContrastSpec, GaussianContrast, PixelContrast, VectorContrast

ROWS = 4
SPECS: list[ContrastSpec] = [
    GaussianContrast(),
    GaussianContrast(distance="kl", direction="a_to_b"),
    VectorContrast(),
    PixelContrast(pixels_per_region=None),
]


def test_the_positive_and_each_negative_change_the_loss_of_an_anchor() -> None:
    torch.manual_seed(0)
    distances = (torch.rand(1, 1, 5, dtype=torch.float64) * 3).requires_grad_()
    positive = torch.tensor([[[True, False, False, False, False]]])
    info_nce(distances, positive, ~positive, 1.0).sum().backward()
    assert distances.grad is not None
    assert distances.grad[0, 0, 0] > 0  # a nearer positive lowers the loss
    assert (distances.grad[0, 0, 1:] < 0).all()  # and so does every farther negative


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.name} {spec.distance}")
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("row", range(ROWS))
def test_replacing_a_region_of_either_task_changes_the_loss(spec: ContrastSpec, side: int, row: int) -> None:
    torch.manual_seed(1)
    regions = torch.arange(ROWS).repeat_interleave(4)[None, :, None].expand(1, -1, 6)
    features = [torch.randn(1, 3, 16, 6) for _ in range(2)]
    before = region_contrast(features[0], features[1], regions, spec, min_pixels=2).loss
    features[side] = torch.where(regions[:, None] == row, torch.randn(1, 3, 16, 6), features[side])
    after = region_contrast(features[0], features[1], regions, spec, min_pixels=2).loss
    assert abs(after - before) > 1e-4
