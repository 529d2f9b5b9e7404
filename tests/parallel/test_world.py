import pytest
import torch
from torch import nn

from rdc_sweeps.errors import InfrastructureError
from rdc_sweeps.parallel.world import ALONE, World, world

from .processes import in_group


def said() -> dict[str, object]:
    here = world()
    parameters = [nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(1))]
    parameters[0].grad = torch.full((3, 2), float(here.rank)).T
    if here.rank == 1:
        parameters[1].grad = torch.arange(4.0)
    here.sum_gradients(parameters)
    layer = nn.Conv2d(1, 2, 3).to(memory_format=torch.channels_last)
    nn.init.constant_(layer.weight, here.rank + 1.0)
    here.broadcast_parameters(layer)
    return {
        "flag of rank 0": here.broadcast_flag(here.rank == 0),
        "flag of rank 1": here.broadcast_flag(here.rank == 1),
        "any rank": here.any_rank([here.rank == 2, False, here.rank < 2]),
        "gradients": [parameter.grad for parameter in parameters],
        "mean": here.mean(
            {"images": torch.tensor(here.rank + 1.0), "items": torch.tensor([2.0, torch.nan, 8.0][here.rank])},
            {"items": torch.tensor([3, 0, 1][here.rank])},
            count=[1, 1, 2][here.rank],
        ),
        "weight": layer.weight,
        "rows": here.gather_rows(torch.arange(2.0 * here.rank).reshape(here.rank, 2) + 10 * here.rank),
    }


def test_rows_of_every_rank_are_joined_in_order() -> None:
    for rank, answer in enumerate(in_group(3, said)):
        rows, own = answer["rows"]
        assert rows.tolist() == [[10, 11], [20, 21], [22, 23]]
        assert rows[own].tolist() == [[], [[10, 11]], [[20, 21], [22, 23]]][rank]


def test_all_ranks_hear_the_same() -> None:
    for answer in in_group(3, said):
        assert answer["flag of rank 0"] is True
        assert answer["flag of rank 1"] is False
        assert answer["any rank"] == [True, False, True]
        summed, elsewhere, nowhere = answer["gradients"]
        assert torch.equal(summed, torch.full((2, 3), 3.0))
        assert torch.equal(elsewhere, torch.arange(4.0))
        assert nowhere is None
        assert answer["mean"]["images"].item() == (1 + 2 + 2 * 3) / 4
        assert answer["mean"]["items"].item() == (3 * 2 + 8) / 4
        assert torch.equal(answer["weight"], torch.ones_like(answer["weight"]))


def test_one_process_needs_no_communication() -> None:
    assert world() is ALONE
    assert ALONE.broadcast_flag(True)
    assert ALONE.any_rank([True, False]) == [True, False]
    value = {"loss": torch.tensor(0.1)}
    assert ALONE.mean(value, {}, 4) == value
    rows, own = ALONE.gather_rows(torch.arange(3))
    assert rows[own].tolist() == [0, 1, 2]


def test_trouble_of_others_is_raised_before_anything_is_waited_for() -> None:
    def trouble() -> None:
        raise InfrastructureError("rank 1 is gone")

    with pytest.raises(InfrastructureError, match="rank 1 is gone"):
        World(0, 2, trouble).any_rank([True])
