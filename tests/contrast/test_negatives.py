import pytest
import torch

from rdc_sweeps.contrast import GaussianContrast, VectorContrast, region_contrast
from rdc_sweeps.errors import UsageError


def items() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    regions = torch.arange(6).repeat_interleave(4)[None, :, None].expand(2, -1, 6)
    return torch.randn(2, 3, 24, 6), torch.randn(2, 3, 24, 6), regions


@pytest.mark.parametrize("strategy", [GaussianContrast, VectorContrast])
def test_as_many_negatives_as_there_are_is_all_of_them(strategy: type[GaussianContrast | VectorContrast]) -> None:
    one, other, regions = items()
    everything = region_contrast(one, other, regions, strategy()).losses
    torch.testing.assert_close(region_contrast(one, other, regions, strategy(negative_count=10)).losses, everything)
    torch.testing.assert_close(region_contrast(one, other, regions, strategy(negative_count=99)).losses, everything)


def test_fewer_negatives_are_drawn_anew_and_make_the_task_easier() -> None:
    one, other, regions = items()
    losses = []
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        strategy = GaussianContrast(negative_count=2)
        losses.append(region_contrast(one, other, regions, strategy, generator=generator).loss)
    assert len({loss.item() for loss in losses}) > 10
    assert max(losses) < region_contrast(one, other, regions, GaussianContrast()).loss


def test_no_negatives_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="negative_count"):
        GaussianContrast(negative_count=0)
