import pytest
import torch
from torch import Tensor

from rdc_sweeps.models.mapping import MappingNetwork, TaskMaps, build_mapping, label_input, pair_index, prediction_input
from rdc_sweeps.models.network import task_channels
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import MappingSpec

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")


def build(channels: tuple[int, ...] = (16, 24, 32, 32), tasks: tuple[Task, ...] = TASKS) -> MappingNetwork:
    torch.manual_seed(0)
    return build_mapping(MappingSpec(channels=channels), tasks, 13)


def unasked(shape: torch.Size) -> Tensor:
    raise AssertionError("only semantic predictions are sampled")


def batch(size: tuple[int, int] = (32, 48)) -> tuple[dict[Task, TaskMaps], Tensor]:
    """Seven items: two semantic, three depth, two normal maps in mixed order, and their pairs."""
    torch.manual_seed(1)
    slots: dict[Task, list[int]] = {"semantic": [4, 1], "depth": [0, 6, 2], "normal": [5, 3]}
    channels = task_channels(TASKS, 13)
    inputs = {
        task: TaskMaps(torch.rand(len(where), channels[task], *size), torch.tensor(where))
        for task, where in slots.items()
    }
    return inputs, torch.tensor([0, 0, 3, 5, 1, 2, 4])


def test_has_the_published_size_and_output() -> None:
    network = build()
    assert sum(parameter.numel() for parameter in network.parameters()) == 72_912
    maps = TaskMaps(torch.rand(1, 1, 288, 384), torch.tensor([0]))
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
    network = build().eval()
    inputs, pairs = batch()
    assert torch.equal(network(inputs, pairs), network(inputs, pairs.flip(0)))


def test_items_keep_their_slots_and_their_pairs() -> None:
    # In evaluation mode items are independent, so each one alone must give the same features.
    network = build().eval()
    with torch.no_grad():
        for parameter in network.film_parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    inputs, pairs = batch()
    together = network(inputs, pairs)
    for task, (maps, slots) in inputs.items():
        for one, slot in zip(maps, slots, strict=True):
            alone = network({task: TaskMaps(one[None], torch.tensor([0]))}, pairs[slot, None])
            torch.testing.assert_close(together[slot], alone[0])


def test_a_pair_changes_only_its_own_items() -> None:
    network = build().eval()
    inputs, pairs = batch()
    before = network(inputs, pairs)
    with torch.no_grad():
        for parameter in network.film_parameters():
            parameter[0] += 0.5
    changed = (network(inputs, pairs) != before).flatten(1).any(1)
    assert torch.equal(changed, pairs == 0)


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
        task: TaskMaps(prediction_input(task, predictions[task], torch.rand), torch.tensor([position, position + 3]))
        for position, task in enumerate(TASKS)
    }
    network(inputs, torch.arange(6)).square().mean().backward()
    for task, prediction in predictions.items():
        assert prediction.grad is not None, task
        assert prediction.grad.isfinite().all()
        assert prediction.grad.abs().sum() > 0
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []
    for name, parameter in network.named_parameters():
        # BatchNorm follows: a convolution's bias cannot matter.
        assert parameter.grad is not None
        assert name.endswith("conv.bias") or name.endswith("0.bias") or parameter.grad.abs().sum() > 0, name


def test_works_under_bfloat16_autocast() -> None:
    inputs, pairs = batch()
    network = build()
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
