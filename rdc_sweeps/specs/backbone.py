"""Backbones and where their pretrained weights come from."""

from typing import Annotated, Literal

from pydantic import Field

from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.paths import RelativeFile


class NoWeights(Spec):
    """Random initialisation."""

    source: Literal["none"] = "none"


class TimmWeights(Spec):
    """ImageNet weights that timm downloads (or finds in its cache)."""

    source: Literal["timm"] = "timm"


class FileWeights(Spec):
    """Weights in timm's naming from a file in the weights folder."""

    source: Literal["file"] = "file"
    file: RelativeFile = Field(description="A .safetensors or .pth file, relative to the weights folder.")


Pretrained = Annotated[NoWeights | TimmWeights | FileWeights, Field(discriminator="source")]


class Hrnet18Spec(Spec):
    """HRNet-W18-Small-v2, four scales of 18/36/72/144 channels at stride 4, concatenated."""

    name: Literal["hrnet18"] = "hrnet18"
    pretrained: Pretrained = TimmWeights()


class EfficientNetLite0Spec(Spec):
    """EfficientNet-Lite0, strides 4 to 32, concatenated at stride 4: the light backbone for CPUs."""

    name: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    pretrained: Pretrained = TimmWeights()


BackboneSpec = Annotated[Hrnet18Spec | EfficientNetLite0Spec, Field(discriminator="name")]
