import math
from itertools import combinations

import pytest
import torch
from scipy import stats
from torch import Tensor

from rdc_sweeps.data.noise import Noise, content_noise, step_noise
from rdc_sweeps.errors import UsageError

IMAGES = range(40)

KEYS = [312024541098964369, -7248211732942527937]
TAGGED = [-5792405189577359943, -8312814843459301736]
NUMBERS = [0.5304404701515658, 0.14212256262381284, 0.7288070697165131, 0.9601557490055287]
"""Of step 2 of epoch 1 with seed 0, images 3 and 4."""


def places(source: Noise, count: int = 2000) -> Tensor:
    return source.uniform((len(source), count))


def chi_square(numbers: Tensor, bins: int) -> float:
    """p-value of the hypothesis that points (n, d) are uniform in the unit cube."""
    cell = (numbers * bins).long()
    index = sum(cell[:, axis] * bins**axis for axis in range(cell.shape[1]))
    assert isinstance(index, Tensor)
    return float(stats.chisquare(index.bincount(minlength=bins ** cell.shape[1]).numpy()).pvalue)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_are_uniform_and_never_at_the_ends(dtype: torch.dtype) -> None:
    numbers = step_noise(0, 0, 0, IMAGES).uniform((40, 5, 50, 60), dtype)
    assert numbers.dtype == dtype
    assert numbers.min() > 0
    assert numbers.max() < 1
    assert stats.kstest(numbers.flatten().numpy(), "uniform").pvalue > 1e-3
    for one in numbers.flatten(1):
        assert stats.kstest(one.numpy(), "uniform").pvalue > 1e-5


def test_the_lowest_and_highest_bits_stay_inside() -> None:
    for dtype, kept in ((torch.float32, 23), (torch.float64, 52)):
        extremes = torch.tensor([0, 2**kept - 1]).to(dtype).add(0.5).mul(0.5**kept)
        assert extremes.min() > 0
        assert extremes.max() < 1


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_neighbours_are_independent_along_every_dimension(axis: int) -> None:
    numbers = step_noise(1, 2, 3, IMAGES).uniform((40, 13, 48, 64))
    size = numbers.shape[axis]
    for distance in (1, 2, size // 2):
        pairs = torch.stack([numbers.narrow(axis, shift, size - distance).flatten() for shift in (0, distance)], 1)
        assert chi_square(pairs, 16) > 1e-4


def test_triples_fill_the_cube() -> None:
    numbers = step_noise(4, 0, 0, IMAGES).uniform((40, 30_000))
    assert chi_square(numbers.reshape(-1, 3), 12) > 1e-4


def test_seeds_epochs_steps_images_and_tags_have_independent_numbers() -> None:
    plain = step_noise(0, 0, 0, range(2))
    sources = [
        plain,
        step_noise(1, 0, 0, range(2)),
        step_noise(0, 1, 0, range(2)),
        step_noise(0, 0, 1, range(2)),
        step_noise(0, 0, 0, range(2, 4)),
        plain.tagged(0),
        plain.tagged(1),
        plain.tagged(0).tagged(0),
        plain.tagged(1).tagged(0),
        plain.tagged(0).tagged(1),
    ]
    rows = torch.cat([places(source, 20_000) for source in sources])
    assert len(torch.cat([source.keys for source in sources]).unique()) == len(rows)
    for one, other in combinations(rows, 2):
        correlation = torch.corrcoef(torch.stack([one, other]))[0, 1].abs().item()
        assert correlation < 5 / math.sqrt(20_000)
        assert chi_square(torch.stack([one, other], 1), 10) > 1e-6


def test_keys_that_differ_in_one_bit_have_nothing_in_common() -> None:
    keys = torch.tensor([0, *(1 << bit for bit in range(63)), -(1 << 63)])
    rows = places(Noise(keys), 4000)
    correlations = torch.corrcoef(rows)
    assert correlations.fill_diagonal_(0).abs().max() < 6 / math.sqrt(4000)


def test_an_image_has_its_noise_wherever_it_is() -> None:
    everything = step_noise(7, 1, 5, [3, 1, 4, 5, 9])
    expected = places(everything)
    assert torch.equal(places(step_noise(7, 1, 5, [9, 4])), expected[[4, 2]])
    assert torch.equal(places(everything.select(torch.tensor([2, 2, 0]))), expected[[2, 2, 0]])
    again = torch.cat([places(step_noise(7, 1, 5, part)) for part in ([3, 1], [4, 5, 9])])
    assert torch.equal(again, expected)


def test_tags_may_differ_between_items() -> None:
    source = step_noise(0, 0, 0, range(3))
    expected = torch.stack([places(source.tagged(tag))[item] for item, tag in enumerate((5, 0, 5))])
    assert torch.equal(places(source.tagged(torch.tensor([5, 0, 5]))), expected)


def test_a_larger_tensor_begins_with_the_smaller_one() -> None:
    source = step_noise(0, 0, 0, range(2))
    assert torch.equal(source.uniform((2, 9, 7, 8))[:, :4, :7, :3], source.uniform((2, 4, 7, 3)))


def test_numbers_stay_what_they_are() -> None:
    """Results would change without a new schema version."""
    source = step_noise(0, 1, 2, [3, 4])
    assert source.keys.tolist() == KEYS
    assert source.tagged(1).keys.tolist() == TAGGED
    assert source.uniform((2, 2)).flatten().tolist() == pytest.approx(NUMBERS, abs=1e-15)
    assert source.uniform((2, 2), torch.float32).flatten().tolist() == pytest.approx(NUMBERS, abs=2e-7)


def test_nothing_is_read_from_the_device() -> None:
    """The meta device has no data: what would wait for a GPU raises."""
    source = step_noise(0, 0, 0, range(4)).to("meta").select(torch.tensor([1, 1, 2])).tagged(3)
    assert source.tagged(torch.tensor([0, 1, 2])).uniform((3, 5, 6), torch.float32).shape == (3, 5, 6)


def test_shapes_are_those_of_the_items() -> None:
    source = step_noise(0, 0, 0, range(4))
    assert source.select(torch.tensor([], dtype=torch.int64)).uniform((0, 3)).shape == (0, 3)
    assert source.uniform((4,)).shape == (4,)
    with pytest.raises(
        UsageError, match=r"noise of 4 items must have shape \(4, ...\) of at most 8 dimensions, not \(3, 2\)"
    ):
        source.uniform((3, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normal_numbers_are_normal_and_independent(dtype: torch.dtype) -> None:
    numbers = step_noise(0, 0, 0, IMAGES).normal((40, 3, 50, 60), dtype)
    assert numbers.dtype == dtype
    assert numbers.isfinite().all()
    assert stats.kstest(numbers.flatten().numpy(), "norm").pvalue > 1e-3
    ranks = torch.special.ndtr(numbers.double()).clamp_max(1 - 1e-9)
    pairs = torch.stack([ranks[..., :-1].flatten(), ranks[..., 1:].flatten()], 1)
    assert chi_square(pairs, 16) > 1e-4


def test_normal_numbers_are_those_of_the_image() -> None:
    both, second = step_noise(0, 1, 2, [3, 4]), step_noise(0, 1, 2, [4])
    assert torch.equal(both.normal((2, 7, 5))[1:], second.normal((1, 7, 5)))
    assert not torch.equal(both.normal((2, 7, 5))[0], both.normal((2, 7, 5))[1])


def test_noise_of_pixels_follows_the_image_and_the_salt() -> None:
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    salt = torch.tensor(5)
    keys = content_noise(images, salt).keys
    assert torch.equal(content_noise(images[[2, 0]], salt).keys, keys[[2, 0]])
    assert torch.equal(content_noise(images.to(memory_format=torch.channels_last), salt).keys, keys)
    assert torch.equal(content_noise(images.double(), salt).keys, keys)
    other = images.clone()
    other[0, 2, 7, 7] += 1e-6
    swapped = images.flip(3)
    for changed in (content_noise(other, salt).keys[:1], content_noise(swapped, salt).keys):
        assert not torch.isin(changed, keys).any()
    assert not torch.isin(content_noise(images, salt + 1).keys, keys).any()
    assert len(keys.unique()) == 4


def test_noise_of_pixels_is_uniform_over_images() -> None:
    images = torch.rand(2000, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    numbers = content_noise(images, torch.tensor(0)).uniform((2000, 2))
    assert chi_square(numbers, 8) > 1e-4
