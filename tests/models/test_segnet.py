from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.fidelity.references import segnet
from rdc_sweeps.models.network import MultiTaskNetwork
from rdc_sweeps.models.registry import build_network
from rdc_sweeps.specs.backbone import SegNetSpec
from rdc_sweeps.specs.base import Task

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
SUBSETS = [subset for count in (1, 2, 3) for subset in combinations(TASKS, count)]
CHANNELS = {"semantic": 13, "depth": 1, "normal": 3}


def build(tasks: tuple[Task, ...] = TASKS, classes: int = 13) -> MultiTaskNetwork:
    torch.manual_seed(0)
    return build_network(SegNetSpec(), tasks, classes, weights_root=None)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def network() -> MultiTaskNetwork:
    return build()


def test_has_the_published_size(network: MultiTaskNetwork) -> None:
    assert count(network) == 25_055_185
    assert round(count(network) / 1e6, 2) == 25.06


@pytest.mark.parametrize("training", [True, False])
def test_predictions_are_those_of_the_reference(training: bool) -> None:
    network = build().double().train(training)
    weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    image = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    ours = network(image)
    reference, _ = segnet.predictions(image, weights, training=training)
    ours["semantic"] = ours["semantic"].log_softmax(dim=1)
    assert ours.keys() == reference.keys()
    for task, maps in reference.items():
        torch.testing.assert_close(ours[task], maps, atol=1e-11, rtol=0)


def test_cityscapes_needs_only_other_tasks_and_classes() -> None:
    with torch.device("meta"):
        network = build(("semantic", "depth"), 7)
        predictions = network(torch.rand(2, 3, 128, 256))
    # Six classes and one task's head of 64 x 3 x 3 x 64 + 64 and 65 x 3 less.
    assert count(network) == 25_055_185 - 65 * 6 - (64 * 64 * 9 + 64 + 65 * 3)
    assert {task: tuple(maps.shape) for task, maps in predictions.items()} == {
        "semantic": (2, 7, 128, 256),
        "depth": (2, 1, 128, 256),
    }


@pytest.mark.parametrize("tasks", SUBSETS, ids="-".join)
def test_every_subset_of_the_tasks_is_predicted_at_full_size(tasks: tuple[Task, ...]) -> None:
    with torch.device("meta"):
        predictions = build(tasks)(torch.rand(2, 3, 64, 96))
    assert {task: tuple(maps.shape) for task, maps in predictions.items()} == {
        task: (2, CHANNELS[task], 64, 96) for task in tasks
    }


def test_normals_have_unit_length(network: MultiTaskNetwork) -> None:
    predictions = network(torch.rand(2, 3, 32, 64))
    torch.testing.assert_close(predictions["normal"].norm(dim=1), torch.ones(2, 32, 64))


def test_normals_have_unit_length_under_bfloat16_autocast(network: MultiTaskNetwork) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        predictions = network(torch.rand(2, 3, 32, 32))
    torch.testing.assert_close(predictions["normal"].norm(dim=1), torch.ones(2, 32, 32))


def test_a_normal_of_length_zero_has_a_finite_gradient() -> None:
    network = build(("normal",))
    last = network.get_submodule("heads.normal.1")
    assert isinstance(last, nn.Conv2d)
    nn.init.zeros_(last.weight)
    prediction = network(torch.rand(2, 3, 32, 32))["normal"]
    torch.autograd.backward((1 - prediction[:, 2]).mean())
    assert prediction.eq(0).all()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_gradients_reach_every_parameter() -> None:
    network = build()
    predictions = network(torch.rand(2, 3, 64, 64))
    torch.autograd.backward(torch.stack([(maps - 0.3).square().mean() for maps in predictions.values()]).sum())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # BatchNorm follows all convolutions but the heads': their bias cannot matter.
        assert parameter.grad.abs().sum() > 0 or (parameter.ndim == 1 and "heads" not in name), name


def test_the_encoder_alone_gives_512_channels_at_stride_32(network: MultiTaskNetwork) -> None:
    seen: list[Tensor] = []
    handle = network.get_submodule("encoder").register_forward_hook(
        lambda _module, _inputs, output: seen.append(output)
    )
    network(torch.rand(1, 3, 64, 96))
    handle.remove()
    assert [tuple(feature.shape) for feature in seen] == [(1, 512, 2, 3)]


def test_unpooling_keeps_places() -> None:
    # What moves by a pixel must move by a pixel in the prediction, although five pools lie in between.
    network = build(("depth",)).eval()
    image = torch.rand(1, 3, 64, 64)
    shifted = image.roll(1, dims=3)
    with torch.no_grad():
        first, second = network(image)["depth"], network(shifted)["depth"]
    centre = slice(24, 40)
    aligned = (second.roll(-1, dims=3) - first)[..., centre, centre].abs().mean()
    assert aligned < (second - first)[..., centre, centre].abs().mean()


def test_initial_weights_are_xaviers(network: MultiTaskNetwork) -> None:
    deep = network.get_submodule("encoder.stages.4.0")
    assert isinstance(deep, nn.Conv2d)
    assert deep.weight.std().item() == pytest.approx((2 / (1024 * 9)) ** 0.5, rel=0.02)
    assert deep.bias is not None
    assert deep.bias.eq(0).all()
