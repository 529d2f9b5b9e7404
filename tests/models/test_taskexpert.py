import logging
from itertools import combinations
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from rdc_sweeps.errors import WeightsError
from rdc_sweeps.models.network import MultiTaskNetwork
from rdc_sweeps.models.registry import build_network, check_pretrained
from rdc_sweeps.models.taskexpert import MemorialMixture, VisionTransformer
from rdc_sweeps.specs.backbone import FileWeights, NoWeights, TaskExpertSpec
from rdc_sweeps.specs.base import Task

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
SUBSETS = [subset for count in (1, 2, 3) for subset in combinations(TASKS, count)]
CHANNELS = {"semantic": 13, "depth": 1, "normal": 3}
TINY = TaskExpertSpec(vit="tiny", width=16, pretrained=NoWeights())
LARGE = TaskExpertSpec(pretrained=NoWeights())


def build(spec: TaskExpertSpec, tasks: tuple[Task, ...] = TASKS) -> MultiTaskNetwork:
    torch.manual_seed(0)
    return build_network(spec, tasks, 13, weights_root=None)


def count(module: nn.Module | None) -> int:
    assert module is not None
    return sum(parameter.numel() for parameter in module.parameters())


def gradients(spec: TaskExpertSpec, image: Tensor) -> dict[str, Tensor | None]:
    network = build(spec)
    predictions = network(image)
    torch.autograd.backward(torch.stack([(maps - 0.3).square().mean() for maps in predictions.values()]).sum())
    return {name: parameter.grad for name, parameter in network.named_parameters()}


def saved_bytes(network: MultiTaskNetwork, image: Tensor) -> int:
    """Of what the forward pass keeps for the backward pass, parameters aside, in the blocks' own hands or not."""
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        predictions = network(image)
    assert predictions
    return sum(kept.values())


def test_the_large_backbone_has_304_million_parameters() -> None:
    with torch.device("meta"):
        network = build(LARGE)
        predictions = network(torch.rand(4, 3, 288, 384))
    assert count(network.backbone) == 303_688_704
    assert count(network) == 336_128_089
    assert {task: tuple(maps.shape) for task, maps in predictions.items()} == {
        task: (4, channels, 288, 384) for task, channels in CHANNELS.items()
    }


@pytest.mark.parametrize(
    ("name", "taps"), [("vit_large_patch16_384", (5, 11, 17, 23)), ("vit_tiny_patch16_384", (2, 5, 8, 11))]
)
def test_taps_are_four_depths_at_stride_16(name: str, taps: tuple[int, ...]) -> None:
    with torch.device("meta"):
        backbone = VisionTransformer(name, "imagenet")
        maps = backbone(torch.rand(2, 3, 96, 128))
    assert backbone.taps == taps
    assert [tuple(features.shape) for features in maps] == [(2, width, 6, 8) for width in backbone.channels]


@pytest.mark.parametrize("tasks", SUBSETS, ids="-".join)
def test_every_subset_of_the_tasks_is_predicted_at_full_size(tasks: tuple[Task, ...]) -> None:
    with torch.device("meta"):
        predictions = build(TINY, tasks)(torch.rand(2, 3, 64, 96))
    assert {task: tuple(maps.shape) for task, maps in predictions.items()} == {
        task: (2, CHANNELS[task], 64, 96) for task in tasks
    }


def test_gradients_reach_every_parameter() -> None:
    for name, gradient in gradients(TINY, torch.rand(2, 3, 64, 96)).items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name
        assert gradient.abs().sum() > 0, name


def test_checkpointing_changes_no_gradient() -> None:
    image = torch.rand(2, 3, 64, 96)
    plain = gradients(TINY, image)
    again = gradients(TINY.model_copy(update={"checkpointing": True}), image)
    for name, gradient in plain.items():
        torch.testing.assert_close(again[name], gradient, atol=0, rtol=0, msg=name)


def test_checkpointing_keeps_less_for_the_backward_pass() -> None:
    image = torch.rand(2, 3, 96, 128)
    plain, less = (saved_bytes(build(TINY.model_copy(update={"checkpointing": on})), image) for on in (False, True))
    assert less < plain / 2


def test_the_backbone_is_timms() -> None:
    torch.manual_seed(0)
    whole = timm.create_model("vit_tiny_patch16_384", img_size=(96, 128)).eval()
    backbone = VisionTransformer("vit_tiny_patch16_384", "symmetric").eval()
    body = dict(backbone.body.state_dict())
    theirs = {**body, "pos_embed": resample_abs_pos_embed(body["pos_embed"], [6, 8], [24, 24])}
    whole.load_state_dict(theirs, strict=False)
    image = torch.rand(1, 3, 96, 128)
    with torch.no_grad():
        ours = backbone(image)[-1]
        tokens = whole.patch_embed(image * 2 - 1)
        tokens = whole.blocks(whole._pos_embed(tokens))
    torch.testing.assert_close(ours.flatten(2).mT, tokens[:, 1:], atol=1e-4, rtol=1e-4)


def test_a_mixture_reads_every_expert_and_every_tasks_own_memory() -> None:
    torch.manual_seed(0)
    mixture = MemorialMixture(12, ["semantic", "depth"], experts=3, width=8)
    features = torch.rand(2, 12, 4, 6, requires_grad=True)
    memories = {task: torch.rand(2, 8, 4, 6, requires_grad=True) for task in ("semantic", "depth")}
    written = mixture(features, memories)
    torch.autograd.backward(written["depth"].square().sum())
    assert features.grad is not None
    assert memories["depth"].grad is not None
    assert memories["semantic"].grad is None
    experts = mixture.get_submodule("experts.0")
    assert isinstance(experts, nn.Conv2d)
    assert experts.weight.grad is not None
    assert experts.weight.grad.unflatten(0, (3, 8)).flatten(1).abs().sum(1).gt(0).all()


def test_experts_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    mixture = MemorialMixture(12, ["depth"], experts=3, width=8).eval()
    features = torch.rand(1, 12, 4, 6)
    before = mixture.experts(features)
    first = mixture.get_submodule("experts.0")
    assert isinstance(first, nn.Conv2d)
    with torch.no_grad():
        first.weight[:8] += 1
    changed = (mixture.experts(features) != before).unflatten(1, (3, 8)).flatten(2).any(2)[0]
    assert changed[0].any()
    assert not changed[1:].any()


def test_a_gate_that_chooses_the_memory_passes_it_on() -> None:
    torch.manual_seed(0)
    mixture = MemorialMixture(12, ["depth"], experts=3, width=8).eval()
    last = mixture.get_submodule("gates.depth.2")
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 100.0]))
        memory = torch.rand(1, 8, 4, 6)
        written = mixture(torch.rand(1, 12, 4, 6), {"depth": memory})["depth"]
        expected = memory + mixture.get_submodule("writes.depth")(memory)
    torch.testing.assert_close(written, expected)


def test_memories_are_carried_through_all_taps() -> None:
    # A first mixture that nothing passes on could not change a prediction.
    network = build(TINY, ("depth",)).eval()
    image = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        before = network(image)["depth"]
        for parameter in network.get_submodule("mixtures.0.writes").parameters():
            parameter.mul_(2)
        assert not torch.equal(network(image)["depth"], before)


def test_works_under_bfloat16_autocast_with_checkpointing() -> None:
    network = build(TINY.model_copy(update={"checkpointing": True}))
    with torch.autocast("cpu", torch.bfloat16):
        predictions = network(torch.rand(2, 3, 32, 64))
    torch.autograd.backward(torch.stack([maps.float().square().mean() for maps in predictions.values()]).sum())
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_weights_of_timms_model_fit_as_they_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(7)
    whole = timm.create_model("vit_tiny_patch16_384").state_dict()
    save_file(whole, tmp_path / "w.safetensors")
    spec = TINY.model_copy(update={"pretrained": FileWeights(file="w.safetensors")})
    check_pretrained(spec, tmp_path)
    with caplog.at_level(logging.WARNING):
        network = build_network(spec, ("depth",), 13, weights_root=tmp_path)
    assert caplog.text == ""
    assert network.backbone is not None
    assert all(torch.equal(value, whole[key]) for key, value in network.backbone.body.state_dict().items())


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(7)
    save_file(timm.create_model("vit_tiny_patch16_384").state_dict(), tmp_path / "w.safetensors")
    spec = LARGE.model_copy(update={"pretrained": FileWeights(file="w.safetensors")})
    with pytest.raises(WeightsError, match="not weights of vit_large_patch16_384"):
        check_pretrained(spec, tmp_path)


@pytest.mark.slow
def test_the_large_network_runs_at_the_papers_size() -> None:
    network = build(LARGE).eval()
    with torch.no_grad():
        predictions = network(torch.rand(1, 3, 288, 384))
    assert all(maps.isfinite().all() for maps in predictions.values())
    assert {task: tuple(maps.shape) for task, maps in predictions.items()} == {
        task: (1, channels, 288, 384) for task, channels in CHANNELS.items()
    }
