"""Which network implements which spec."""

from collections.abc import Callable, Mapping
from typing import Any

from rdc_sweeps.models.base import MultiTaskNetwork
from rdc_sweeps.models.efficientnet import EfficientNetLite0
from rdc_sweeps.models.hrnet import HRNet18
from rdc_sweeps.models.pyramid import PyramidNetwork
from rdc_sweeps.models.segnet import SegNet
from rdc_sweeps.models.taskexpert import build_taskexpert
from rdc_sweeps.specs.backbone import (
    BackboneSpec,
    EfficientNetLite0Spec,
    Hrnet18Spec,
    SegNetSpec,
    TaskExpertSpec,
)
from rdc_sweeps.specs.base import Spec, Task
from rdc_sweeps.specs.extensions import implementation

NetworkBuilder = Callable[[Any, Mapping[Task, int]], MultiTaskNetwork]
"""A spec and the channels of each task's output to a network, initialised from torch's global generator."""

NETWORKS: dict[type[Spec], NetworkBuilder] = {
    Hrnet18Spec: lambda _spec, out_channels: PyramidNetwork(HRNet18(), out_channels),
    EfficientNetLite0Spec: lambda _spec, out_channels: PyramidNetwork(EfficientNetLite0(), out_channels),
    SegNetSpec: lambda spec, out_channels: SegNet(out_channels, spec.width),
    TaskExpertSpec: build_taskexpert,
}
"""Every network that is built in, by the type of its spec."""


def new_network(spec: BackboneSpec, out_channels: Mapping[Task, int]) -> MultiTaskNetwork:
    """The network of `spec`, without pretrained weights; no tasks leave it without heads."""
    return implementation("rdc_sweeps.backbones", spec, NETWORKS)(spec, out_channels)
