"""HRNet18 beside a reference that was written from the architecture's description, in double precision."""

import logging
from pathlib import Path
from typing import Literal

import pytest
import timm
import torch
from torch import Tensor, nn

from benchmarks.fidelity.references import hrnet
from rdc_sweeps.models.network import MultiTaskNetwork
from rdc_sweeps.models.registry import build_network
from rdc_sweeps.specs.backbone import FileWeights, Hrnet18Spec, NoWeights
from rdc_sweeps.specs.base import Task

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
FUSES: tuple[Literal["bilinear", "nearest"], ...] = ("bilinear", "nearest")


def network(spec: Hrnet18Spec) -> MultiTaskNetwork:
    """A network in double precision whose every parameter and statistic is random."""
    torch.manual_seed(0)
    built = build_network(spec, TASKS, 13, weights_root=None).double()
    with torch.no_grad():
        for name, tensor in built.state_dict().items():
            if name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
                tensor.uniform_(0.5, 1.5)
            elif tensor.ndim == 1:
                tensor.normal_(std=0.3)
    return built


def state(built: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in built.state_dict().items()}


def assert_equal(ours: dict[str, Tensor], reference: dict[str, Tensor]) -> None:
    """Equal to 1e-12 of the reference's standard deviation."""
    assert ours.keys() == reference.keys()
    for name, maps in reference.items():
        torch.testing.assert_close(ours[name], maps, atol=1e-12 * max(1.0, maps.std().item()), rtol=0, msg=name)


@pytest.mark.parametrize("fuse", FUSES)
@pytest.mark.parametrize("training", [True, False])
def test_predictions_are_those_of_the_reference(fuse: Literal["bilinear", "nearest"], training: bool) -> None:
    built = network(Hrnet18Spec(pretrained=NoWeights(), fuse=fuse)).train(training)
    weights = state(built)
    image = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    ours = built(image)
    assert_equal(ours, hrnet.predictions(image, weights, training=training, fuse=fuse))


def test_the_ways_to_upsample_differ() -> None:
    image = torch.rand(1, 3, 64, 96, dtype=torch.float64)
    bilinear, nearest = (network(Hrnet18Spec(pretrained=NoWeights(), fuse=fuse))(image) for fuse in FUSES)
    for task in TASKS:
        assert (bilinear[task] - nearest[task]).std() > 0.01 * bilinear[task].std()


@pytest.mark.parametrize("momentum", [0.01, 0.1])
def test_a_training_step_moves_the_statistics_as_in_the_reference(momentum: float) -> None:
    built = network(Hrnet18Spec(pretrained=NoWeights(), norm_momentum=momentum)).train()
    before, weights = state(built), state(built)
    image = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    built(image)
    hrnet.predictions(image, weights, training=True, momentum=momentum)
    statistics = [name for name in before if "running_" in name]
    after = state(built)
    assert_equal({name: after[name] for name in statistics}, {name: weights[name] for name in statistics})
    assert all(not torch.equal(after[name], before[name]) for name in statistics)


def test_the_momentum_is_that_of_all_norms_of_the_backbone_and_of_no_head() -> None:
    built = network(Hrnet18Spec(pretrained=NoWeights(), norm_momentum=0.25))
    found = {name: module.momentum for name, module in built.named_modules() if isinstance(module, nn.BatchNorm2d)}
    heads = {name for name in found if name.startswith("heads.")}
    assert {found[name] for name in heads} == {0.1}
    assert {found[name] for name in found.keys() - heads} == {0.25}


def test_gradients_are_those_of_the_reference() -> None:
    built = network(Hrnet18Spec(pretrained=NoWeights())).train()
    weights = {name: tensor.requires_grad_(tensor.is_floating_point()) for name, tensor in state(built).items()}
    for name in weights:
        if "running_" in name:
            weights[name].requires_grad_(False)
    image = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    for found in (built(image), hrnet.predictions(image, weights, training=True)):
        torch.autograd.backward(torch.stack([maps.square().mean() for maps in found.values()]).sum())
    for name, parameter in built.named_parameters():
        expected = weights[name].grad
        assert parameter.grad is not None
        assert expected is not None
        scale = max(1.0, expected.abs().max().item())
        torch.testing.assert_close(parameter.grad, expected, atol=1e-11 * scale, rtol=0, msg=name)


def test_a_file_with_microsofts_names_fits_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # The reference has the names of Microsoft's hrnet_w18_small_model_v2.pth, in which a classification head follows
    # and the counters of batches are absent.
    torch.manual_seed(0)
    content = {
        name: tensor
        for name, tensor in timm.create_model("hrnet_w18_small_v2").state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(content, tmp_path / "hrnet_w18_small_model_v2.pth")
    spec = Hrnet18Spec(pretrained=FileWeights(file="hrnet_w18_small_model_v2.pth"))
    with caplog.at_level(logging.WARNING):
        built = build_network(spec, TASKS, 13, weights_root=tmp_path).double().eval()
    assert caplog.text == ""
    weights = {f"backbone.body.{name}": tensor.double() for name, tensor in content.items()}
    weights |= {name: tensor for name, tensor in state(built).items() if name.startswith("heads.")}
    image = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    assert_equal(built(image), hrnet.predictions(image, weights, training=False))
