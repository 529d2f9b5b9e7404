"""Networks by the type of their spec, built with their weights."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rdc_sweeps.models.diffusion import DiffusionNetwork
from rdc_sweeps.models.network import Backbone, MultiTaskNetwork, task_channels
from rdc_sweeps.models.pointwise import speed_up_pointwise
from rdc_sweeps.models.pyramid import EfficientNetLite0, HRNet18, PyramidNetwork, ResNet18
from rdc_sweeps.models.segnet import SegNet
from rdc_sweeps.models.taskexpert import build_taskexpert
from rdc_sweeps.models.weights import check_weights, load_weights
from rdc_sweeps.specs.backbone import (
    BackboneSpec,
    DiffusionSpec,
    EfficientNetLite0Spec,
    Hrnet18Spec,
    ResNet18Spec,
    SegNetSpec,
    TaskExpertSpec,
)
from rdc_sweeps.specs.base import Spec, Task
from rdc_sweeps.specs.extensions import implementation

NetworkBuilder = Callable[[Any, Mapping[Task, int]], MultiTaskNetwork]
"""A spec and the channels of each task's output to a network, initialised from torch's global generator."""

NETWORKS: dict[type[Spec], NetworkBuilder] = {
    Hrnet18Spec: lambda spec, out_channels: PyramidNetwork(
        HRNet18(spec.input, spec.fuse, spec.norm_momentum), out_channels
    ),
    EfficientNetLite0Spec: lambda spec, out_channels: PyramidNetwork(EfficientNetLite0(spec.input), out_channels),
    ResNet18Spec: lambda spec, out_channels: PyramidNetwork(ResNet18(spec.input), out_channels),
    SegNetSpec: lambda spec, out_channels: SegNet(out_channels, spec.width, spec.input),
    TaskExpertSpec: build_taskexpert,
    DiffusionSpec: lambda spec, out_channels: DiffusionNetwork(_new_backbone(spec.encoder), out_channels, spec),
}
"""The built-in networks, by the type of their spec."""


def new_network(spec: BackboneSpec, out_channels: Mapping[Task, int]) -> MultiTaskNetwork:
    """The network of `spec`, without pretrained weights; without tasks it has no heads."""
    return implementation("rdc_sweeps.backbones", spec, NETWORKS)(spec, out_channels)


def _new_backbone(spec: BackboneSpec) -> Backbone:
    """The backbone of a network that has one."""
    backbone = new_network(spec, {}).backbone
    assert backbone is not None
    return backbone


def build_network(
    spec: BackboneSpec, tasks: Sequence[Task], classes: int, *, weights_root: Path | None
) -> MultiTaskNetwork:
    """The network of a spec, with its pretrained weights.

    What is not pretrained is drawn from torch's global generator, so the caller's seed determines it.

    Args:
        spec: The backbone and where its weights come from.
        tasks: Tasks to predict.
        classes: Number of semantic classes.
        weights_root: Folder of weight files; only needed for weights from a file.

    Raises:
        WeightsError: The weights are missing, damaged, unreachable or of another architecture.
    """
    network = new_network(spec, task_channels(tasks, classes))
    if network.backbone is not None:
        load_weights(network.backbone, spec.pretrained, weights_root, _pretrained_field(spec))
    speed_up_pointwise(network)
    # A quarter to a third faster on CPUs, and the layout that tensor cores need.
    return network.to(memory_format=torch.channels_last)


def check_pretrained(spec: BackboneSpec, weights_root: Path | None) -> None:
    """Check that `build_network` will find its pretrained weights, without building the network or downloading.

    Raises:
        WeightsError: The weights are missing, damaged, unreachable or of another architecture.
    """
    if spec.pretrained.source == "none":
        return
    with torch.device("meta"):
        backbone = new_network(spec, {}).backbone
    if backbone is not None:
        check_weights(backbone, spec.pretrained, weights_root, _pretrained_field(spec))


def _pretrained_field(spec: BackboneSpec) -> str:
    """Where a run's spec says which weights its backbone gets."""
    return "backbone.encoder.pretrained" if isinstance(spec, DiffusionSpec) else "backbone.pretrained"
