import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rdc_sweeps.models.mapping import MappingNetwork, TaskMaps, build_mapping, pair_index
from rdc_sweeps.models.network import task_channels
from rdc_sweeps.models.shown import label_input, prediction_input
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import MappingSpec

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
NORMS = ("apart", "single", "pooled")


def build(channels: tuple[int, ...] = (16, 24, 32, 32), **fields: Any) -> MappingNetwork:
    torch.manual_seed(0)
    return build_mapping(MappingSpec(channels=channels, **fields), TASKS, 13)


def unasked(shape: torch.Size) -> Tensor:
    raise AssertionError("only semantic predictions are sampled")


def batch(size: tuple[int, int] = (32, 48)) -> tuple[dict[Task, TaskMaps], Tensor]:
    """Seven items: two semantic, three depth, two normal maps in mixed order, each its own group, and their pairs."""
    torch.manual_seed(1)
    slots: dict[Task, list[int]] = {"semantic": [4, 1], "depth": [0, 6, 2], "normal": [5, 3]}
    channels = task_channels(TASKS, 13)
    inputs = {
        task: TaskMaps(torch.rand(len(where), channels[task], *size).split(1), torch.tensor(where))
        for task, where in slots.items()
    }
    return inputs, torch.tensor([0, 0, 3, 5, 1, 2, 4])


def test_has_the_published_size_and_output() -> None:
    network = build()
    assert sum(parameter.numel() for parameter in network.parameters()) == 72_912
    maps = TaskMaps([torch.rand(1, 1, 288, 384)], torch.tensor([0]))
    assert network({"depth": maps}, torch.tensor([0])).shape == (1, 32, 18, 24)
    assert (network.out_channels, network.stride) == (32, 16)


def test_levels_are_the_specs() -> None:
    network = build((8, 16))
    inputs, pairs = batch()
    assert network(inputs, pairs).shape == (7, 16, 8, 12)
    assert (network.out_channels, network.stride) == (16, 4)


def test_the_film_parameters_are_the_scales_and_shifts_of_all_pairs() -> None:
    network = build()
    film = network.film_parameters()
    assert sum(parameter.numel() for parameter in film) == 6 * 2 * (2 * 16 + 2 * 24 + 6 * 32)
    named = dict(network.named_parameters())
    assert {id(parameter) for parameter in film} == {
        id(named[name]) for name in named if name.rsplit(".", 1)[1] in ("gamma", "beta")
    }


def test_film_starts_as_the_identity() -> None:
    network = build()
    inputs, pairs = batch()
    assert torch.equal(network(inputs, pairs), network(inputs, pairs.flip(0)))


@pytest.mark.parametrize("norm", ["single", "apart"])
def test_items_keep_their_slots_and_their_pairs(norm: str) -> None:
    # With groups of one map, items are independent either way, so each one alone must give the same features.
    network = build(norm=norm)
    with torch.no_grad():
        for parameter in network.film_parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    inputs, pairs = batch()
    together = network(inputs, pairs)
    for task, (maps, slots) in inputs.items():
        for one, slot in zip(maps, slots, strict=True):
            alone = network({task: TaskMaps([one], torch.tensor([0]))}, pairs[slot, None])
            torch.testing.assert_close(together[slot], alone[0], rtol=1e-4, atol=1e-5)


def test_a_pair_changes_only_its_own_items() -> None:
    network = build(norm="single")
    inputs, pairs = batch()
    before = network(inputs, pairs)
    with torch.no_grad():
        for parameter in network.film_parameters():
            parameter[0] += 0.5
    changed = (network(inputs, pairs) != before).flatten(1).any(1)
    assert torch.equal(changed, pairs == 0)


def sides(network: MappingNetwork, maps: dict[tuple[Task, str], Tensor]) -> dict[tuple[Task, str], Tensor]:
    """Features of the predictions and of the labels of each task, all mapped at once."""
    first, inputs = 0, {}
    where: dict[tuple[Task, str], slice] = {}
    for task in TASKS:
        groups = {key: value for key, value in maps.items() if key[0] == task}
        start = first
        for key, value in groups.items():
            where[key] = slice(first, first + len(value))
            first += len(value)
        if groups:
            inputs[task] = TaskMaps(list(groups.values()), torch.arange(start, first))
    features = network(inputs, torch.arange(first) % 6)
    return {key: features[slots] for key, slots in where.items()}


def two_maps_of_each_side() -> dict[tuple[Task, str], Tensor]:
    torch.manual_seed(3)
    channels = task_channels(TASKS, 13)
    return {(task, side): torch.rand(2, channels[task], 16, 24) for task in TASKS for side in ("prediction", "label")}


@pytest.mark.parametrize("norm", NORMS)
def test_features_of_labels_depend_on_predictions_only_if_pooled(norm: str) -> None:
    network = build((8, 16), norm=norm)
    maps = two_maps_of_each_side()
    predictions = [value.requires_grad_() for (_, side), value in maps.items() if side == "prediction"]
    labels = {key: value for key, value in sides(network, maps).items() if key[1] == "label"}
    sum(value.square().sum() for value in labels.values()).backward()  # type: ignore[union-attr]
    gradients = [prediction.grad for prediction in predictions]
    changed = sides(network, {key: value + 1 if key[1] == "prediction" else value for key, value in maps.items()})
    if norm == "pooled":
        assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
        assert not any(torch.equal(changed[key], value) for key, value in labels.items())
    else:
        assert all(gradient is None or gradient.eq(0).all() for gradient in gradients)
        assert all(torch.equal(changed[key], value) for key, value in labels.items())


def test_a_group_apart_is_mapped_as_if_it_were_alone() -> None:
    network = build((8, 16)).double()
    maps = {key: value.double() for key, value in two_maps_of_each_side().items()}
    together = sides(network, maps)
    for (task, side), value in maps.items():
        slots = torch.arange(len(value))
        pairs = (slots + 2 * list(maps).index((task, side))) % 6
        alone = network({task: TaskMaps([value], slots)}, pairs)
        torch.testing.assert_close(together[task, side], alone, rtol=1e-12, atol=1e-12)
        # Its maps share their statistics.
        first = network({task: TaskMaps([value[:1]], slots[:1])}, pairs[:1])
        assert not torch.allclose(first, alone[:1], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("norm", NORMS)
def test_position_can_be_read_off_with_zeros_only(norm: str) -> None:
    torch.manual_seed(4)
    constants: dict[Task, TaskMaps] = {
        "depth": TaskMaps([torch.rand(3, 1, 1, 1).expand(-1, -1, 32, 48).double()], torch.arange(3))
    }
    spread = {}
    for padding in ("reflect", "zeros"):
        network = build(norm=norm, padding=padding).double()
        with torch.no_grad():
            for parameter in network.film_parameters():
                parameter.add_(torch.rand_like(parameter))
        features = network(constants, torch.arange(3))
        assert (features.flatten(1) > 0.1).any(1).all()
        spread[padding] = (features - features.mean((2, 3), keepdim=True)).abs().amax((1, 2, 3))
    assert (spread["reflect"] < 1e-9).all()
    assert (spread["zeros"] > 0.1).all()


@pytest.mark.parametrize("padding", ["reflect", "zeros"])
@pytest.mark.parametrize("norm", NORMS)
def test_the_smallest_image_has_two_pixels_a_side_in_the_last_level(norm: str, padding: str) -> None:
    network = build((4, 4, 4), norm=norm, padding=padding)
    maps = TaskMaps([torch.rand(1, 1, 8, 8)], torch.tensor([0]))
    assert network({"depth": maps}, torch.tensor([0])).shape == (1, 4, 1, 1)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_pairs_are_numbered_row_by_row_without_the_diagonal(count: int) -> None:
    pairs = torch.tensor([(t, s) for t in range(count) for s in range(count) if t != s])
    assert torch.equal(pair_index(pairs[:, 0], pairs[:, 1], count), torch.arange(count * (count - 1)))


def test_gradients_reach_predictions_and_parameters() -> None:
    network = build((8, 16))
    torch.manual_seed(2)
    channels = task_channels(TASKS, 13)
    predictions = {task: torch.randn(2, channels[task], 16, 16, requires_grad=True) for task in TASKS}
    inputs: dict[Task, TaskMaps] = {
        task: TaskMaps([prediction_input(task, predictions[task], torch.rand)], torch.tensor([position, position + 3]))
        for position, task in enumerate(TASKS)
    }
    network(inputs, torch.arange(6)).square().mean().backward()
    for task, prediction in predictions.items():
        assert prediction.grad is not None, task
        assert prediction.grad.isfinite().all()
        assert prediction.grad.abs().sum() > 0
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
    for name, parameter in network.named_parameters():
        # Normalisation follows: a convolution's bias cannot matter.
        assert parameter.grad is not None
        assert name.endswith("conv.bias") or parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("norm", NORMS)
def test_works_under_bfloat16_autocast(norm: str) -> None:
    inputs, pairs = batch()
    network = build(norm=norm)
    with torch.autocast("cpu", torch.bfloat16):
        features = network(inputs, pairs)
    assert features.dtype == torch.bfloat16
    features.float().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_semantic_predictions_become_hard_one_hots_with_a_soft_gradient() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 13, 4, 5, requires_grad=True)
    hot = prediction_input("semantic", logits, torch.rand)
    torch.testing.assert_close(hot.detach().round(), hot.detach())
    assert torch.equal(hot.detach().round().sum(1), torch.ones(2, 4, 5))
    torch.autograd.backward((hot * torch.rand_like(hot)).sum())
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0


def test_gumbel_samples_follow_the_softmax() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 200, 200)
    frequency = prediction_input("semantic", logits, torch.rand).mean((0, 2, 3))
    torch.testing.assert_close(frequency, torch.tensor([1.0, 0.0, -1.0]).softmax(0), atol=0.01, rtol=0)


def test_a_sample_is_the_largest_logit_with_gumbel_noise_of_the_given_numbers() -> None:
    logits = torch.randn(2, 13, 8, 8)
    uniform = torch.rand(2, 13, 8, 8)
    hot = prediction_input("semantic", logits, lambda shape: uniform.view(shape))
    assert torch.equal(hot.argmax(1), (logits - (-uniform.log()).log()).argmax(1))


def test_semantic_labels_are_one_hot_and_void_is_zero() -> None:
    label = torch.tensor([[[0, 2, -1]]])
    assert label_input("semantic", label, 3)[0, :, 0].T.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_depth_is_relative_to_each_images_maximum() -> None:
    depth = torch.tensor([[1.0, 4.0], [0.0, 10.0]]).view(2, 1, 1, 2)
    expected = torch.tensor([[0.25, 1.0], [0.0, 1.0]]).view(2, 1, 1, 2)
    assert torch.equal(label_input("depth", depth, 13), expected)
    assert torch.equal(prediction_input("depth", depth, unasked), expected)


def test_depth_may_be_divided_by_one_number() -> None:
    depth = torch.tensor([[1.0, 4.0], [0.0, 10.0]]).view(2, 1, 1, 2)
    assert torch.equal(label_input("depth", depth, 13, MappingSpec(depth_divisor=4.0)), depth / 4)
    assert torch.equal(prediction_input("depth", depth, unasked, MappingSpec(depth_divisor=4.0)), depth / 4)


@pytest.mark.parametrize(("divisor", "expected"), [(None, [0.5, 1.0]), (7.0, [1 / 3, 2 / 3])])
def test_depth_may_be_logarithmic(divisor: float | None, expected: list[float]) -> None:
    spec = MappingSpec(depth_scale="logarithmic", depth_divisor=divisor)
    depth = torch.tensor([1.0, 3.0], dtype=torch.float64).view(1, 1, 1, 2)
    for shown in (label_input("depth", depth, 13, spec), prediction_input("depth", depth, unasked, spec)):
        torch.testing.assert_close(shown.flatten(), torch.tensor(expected, dtype=torch.float64))


def test_negative_depth_is_0_in_a_logarithm_and_keeps_a_gradient() -> None:
    depth = torch.tensor([-2.0, 0.0, 3.0]).view(1, 1, 1, 3).requires_grad_()
    shown = prediction_input("depth", depth, unasked, MappingSpec(depth_scale="logarithmic", depth_divisor=1.0))
    torch.autograd.backward(shown.sum() * math.log(2))
    assert shown.flatten().tolist() == pytest.approx([0, 0, 2])
    assert depth.grad is not None
    assert depth.grad.flatten()[[0, 2]].tolist() == pytest.approx([1, 0.25])


def test_semantic_predictions_may_be_probabilities() -> None:
    logits = torch.randn(2, 13, 4, 5)
    shown = prediction_input("semantic", logits, unasked, MappingSpec(semantic_input="probabilities"))
    torch.testing.assert_close(shown, logits.softmax(1))


@pytest.mark.parametrize("largest", [1.1e-3, 0.3, 10.0, 80.0])
def test_depth_is_divided_as_in_the_authors_codes(largest: float) -> None:
    torch.manual_seed(0)
    depth = torch.randn(3, 1, 4, 5, dtype=torch.float64)
    depth = (depth / depth.amax((1, 2, 3), keepdim=True) * largest).requires_grad_()
    expected = torch.cat([one / (one.max() + 1e-12) for one in depth.split(1)])
    found = prediction_input("depth", depth, unasked)
    assert torch.equal(found, expected)
    weights = torch.randn(3, 1, 4, 5, dtype=torch.float64)
    (ours,), (theirs,) = (torch.autograd.grad((value * weights).sum(), depth) for value in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


@pytest.mark.parametrize("task", ["depth", "normal"])
def test_gradients_of_inputs_are_exact(task: Task) -> None:
    torch.manual_seed(0)
    prediction = torch.randn(2, task_channels(TASKS, 13)[task], 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda maps: prediction_input(task, maps, unasked), prediction)


@pytest.mark.parametrize("value", [0.0, -3.0, 1e-30])
def test_depth_without_a_positive_maximum_stays_finite(value: float) -> None:
    depth = torch.full((2, 1, 4, 4), value, requires_grad=True)
    mapped = prediction_input("depth", depth, unasked)
    torch.autograd.backward(mapped.sum())
    assert torch.equal(mapped, depth)
    assert depth.grad is not None
    assert depth.grad.eq(1).all()


def test_normals_are_moved_into_0_to_1() -> None:
    normal = torch.tensor([-1.0, 0.0, 1.0]).view(1, 3, 1, 1)
    assert prediction_input("normal", normal, unasked).flatten().tolist() == [0, 0.5, 1]
    assert label_input("normal", normal, 13).flatten().tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("task", TASKS)
def test_inputs_of_half_precision_predictions_are_float32(task: Task) -> None:
    prediction = torch.randn(1, task_channels(TASKS, 13)[task], 4, 4, dtype=torch.bfloat16)
    assert prediction_input(task, prediction, torch.rand).dtype == torch.float32
