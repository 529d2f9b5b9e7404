"""Backbones and where their pretrained weights come from."""

from typing import TYPE_CHECKING, Annotated, Literal, get_args

from pydantic import Field

from rdc_sweeps.specs.base import RelativeFile, Spec
from rdc_sweeps.specs.extensions import union_of


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


class SegNetSpec(Spec):
    """SegNet of MTAN and Li et al., an encoder-decoder at full resolution, trained from scratch."""

    name: Literal["segnet"] = "segnet"
    width: int = Field(
        64, ge=1, description="Channels of the first stage; the others have 2, 4, 8 and 8 times as many."
    )
    pretrained: NoWeights = NoWeights()


class TaskExpertSpec(Spec):
    """TaskExpert: a vision transformer with a mixture of experts and a memory per task at four depths."""

    name: Literal["taskexpert"] = "taskexpert"
    vit: Literal["large", "tiny"] = Field("large", description="ViT-L/16 or ViT-Ti/16, pretrained at 384x384.")
    experts: int = Field(5, ge=1, description="Experts per tap, shared by the tasks, without the memory.")
    width: int = Field(256, ge=1, description="Channels of experts, memories and heads.")
    pretrained: Pretrained = TimmWeights()
    checkpointing: bool = Field(
        False, description="Save memory at the cost of a second forward pass through each block."
    )


BuiltinBackbone = Hrnet18Spec | EfficientNetLite0Spec | SegNetSpec | TaskExpertSpec

if TYPE_CHECKING:
    BackboneSpec = Annotated[BuiltinBackbone, Field(discriminator="name")]
else:
    __getattr__ = union_of("BackboneSpec", "rdc_sweeps.backbones", get_args(BuiltinBackbone))
