"""The bank of earlier maps against a queue of each pair of tasks."""

from collections import deque

import pytest
import torch
from torch import Tensor

from rdc_sweeps.contrast.earlier import EarlierMaps
from rdc_sweeps.contrast.elsewhere import OtherImages

PAIRS, CHANNELS, SIZE = 3, 2, (4, 5)
Sides = tuple[Tensor, Tensor]


def step(generator: torch.Generator, items: int) -> tuple[OtherImages, Tensor]:
    predicted, labelled = torch.randn(2, items, CHANNELS, *SIZE, generator=generator)
    kinds = torch.randint(PAIRS, (items,), generator=generator)
    return OtherImages((predicted, labelled), torch.full((items, 1), -1)), kinds


def shown(found: OtherImages, item: int) -> list[Sides]:
    """The maps among which an item finds its negatives."""
    return [(found.sides[0][place], found.sides[1][place]) for place in found.items[item].tolist() if place >= 0]


def same(one: list[Sides], other: list[Sides]) -> bool:
    """Whether they are the same maps in any order."""
    flat = [sorted(torch.stack(sides).flatten().tolist() for sides in each) for each in (one, other)]
    return flat[0] == flat[1]


@pytest.mark.parametrize("size", [1, 3, 20])
def test_each_pair_has_the_latest_maps_of_earlier_steps(size: int) -> None:
    bank, generator = EarlierMaps(PAIRS, size, CHANNELS), torch.Generator().manual_seed(0)
    queues = [deque[Sides](maxlen=size) for _ in range(PAIRS)]
    for items in (4, 7, 0, 1, 9, 2):
        others, kinds = step(generator, items)
        found = bank(others, kinds, kinds)
        for item, kind in enumerate(kinds.tolist()):
            assert same(shown(found, item), list(queues[kind])), "not yet with this step's"
        for item, kind in enumerate(kinds.tolist()):
            queues[kind].append((others.sides[0][item], others.sides[1][item]))


def test_a_process_reads_for_its_items_and_those_of_all_enter() -> None:
    bank, generator = EarlierMaps(PAIRS, 8, CHANNELS), torch.Generator().manual_seed(1)
    others, everyones = step(generator, 6)
    own = slice(2, 3)
    bank(OtherImages(others.sides, others.items[own]), everyones[own], everyones)
    others, kinds = step(generator, 1)
    (found,) = [shown(bank(others, kinds, kinds), 0)]
    assert len(found) == int((everyones == kinds).sum())


def test_the_other_images_of_the_batch_come_first_and_stay() -> None:
    bank, generator = EarlierMaps(PAIRS, 2, CHANNELS), torch.Generator().manual_seed(2)
    others, _ = step(generator, 3)
    kinds = torch.tensor([0, 0, 1])
    others = OtherImages(others.sides, torch.tensor([[1], [0], [-1]]))
    assert bank(others, kinds, kinds) is others, "nothing is earlier than the first step"
    found = bank(others, kinds, kinds)
    assert found.items[:, 0].tolist() == [1, 0, -1]
    assert (found.items[:, 1:] >= 0).sum(1).tolist() == [2, 2, 1]
    assert found.known.shape == (3, 3)


def test_in_evaluation_mode_nothing_enters() -> None:
    bank, generator = EarlierMaps(PAIRS, 4, CHANNELS), torch.Generator().manual_seed(3)
    others, kinds = step(generator, 5)
    bank(others, kinds, kinds)
    before = {name: value.clone() for name, value in bank.state_dict().items()}
    bank.eval()
    found = [bank(*step(generator, 5)[:1], kinds, kinds) for _ in range(2)]
    assert all(torch.equal(value, before[name]) for name, value in bank.state_dict().items())
    assert all(shown(one, 0) for one in found)


def test_the_maps_are_part_of_the_state_and_get_no_gradient() -> None:
    one, other = (EarlierMaps(PAIRS, 4, CHANNELS) for _ in range(2))
    generator = torch.Generator().manual_seed(4)
    others, kinds = step(generator, 5)
    one(OtherImages((others.sides[0].requires_grad_(), others.sides[1]), others.items), kinds, kinds)
    other.load_state_dict(one.state_dict())
    assert other.maps.shape[-2:] == SIZE
    later, kinds = step(generator, 5)
    first, second = (bank(later, kinds, kinds) for bank in (one, other))
    assert not first.sides[0].requires_grad
    assert all(same(shown(first, item), shown(second, item)) for item in range(5))
    with pytest.raises(RuntimeError, match="size mismatch"):
        EarlierMaps(PAIRS, 5, CHANNELS).load_state_dict(one.state_dict())
