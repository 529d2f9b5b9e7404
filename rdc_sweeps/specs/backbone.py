"""Backbones and where their pretrained weights come from."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, field_validator

from rdc_sweeps.specs.base import Channels, RelativeFile, Spec
from rdc_sweeps.specs.extensions import union_of


class NoWeights(Spec):
    """Random initialisation."""

    source: Literal["none"] = "none"


class TimmWeights(Spec):
    """Weights that timm downloads, or finds in its cache."""

    source: Literal["timm"] = "timm"
    tag: str = Field(
        description="timm's name of these weights: what follows the architecture and a dot, for example ms_in1k."
    )


class FileWeights(Spec):
    """Weights from a file in the weights folder, with timm's names of the parameters."""

    source: Literal["file"] = "file"
    file: RelativeFile = Field(description="A .safetensors or .pth file, relative to the weights folder.")


Pretrained = Annotated[NoWeights | TimmWeights | FileWeights, Field(discriminator="source")]

InputValues = Annotated[
    Literal["unit", "symmetric", "imagenet"],
    Field(
        description="What the network sees of an image in [0, 1]: `unit`, the image as it is; `symmetric`, mapped to "
        "[-1, 1]; `imagenet`, less ImageNet's mean, divided by its standard deviation."
    ),
]


class _TimmBackbone(Spec):
    """A backbone whose weights are timm's unless `pretrained` says otherwise; a tag or source alone keeps the other."""

    @field_validator("pretrained", mode="before", check_fields=False)
    @classmethod
    def _completed(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("source", "timm") == "timm" and value.keys() <= {"source", "tag"}:
            return {**cls.model_fields["pretrained"].default.model_dump(), **value}
        return value


class Hrnet18Spec(_TimmBackbone):
    """HRNet-W18-Small-v2, four scales of 18/36/72/144 channels at stride 4, concatenated.

    The defaults are those of the authors' release: Microsoft's ImageNet weights, which it gives images in [0, 1],
    although they were trained with `imagenet` input.
    """

    name: Literal["hrnet18"] = "hrnet18"
    pretrained: Pretrained = TimmWeights(tag="ms_in1k")
    input: InputValues = "unit"
    fuse: Literal["bilinear", "nearest"] = Field(
        "bilinear",
        description="How coarser maps are upsampled where scales are summed: `bilinear` as in the release; `nearest` "
        "as in timm, and when the weights were trained.",
    )
    norm_momentum: float = Field(
        0.01, gt=0, le=1, description="Share of the batch in the backbone's running BatchNorm statistics; timm has 0.1."
    )


class EfficientNetLite0Spec(_TimmBackbone):
    """EfficientNet-Lite0, strides 4 to 32, concatenated at stride 4: the light backbone for CPUs.

    Its weights were trained with `symmetric` input.
    """

    name: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    pretrained: Pretrained = TimmWeights(tag="in1k")
    input: InputValues = "symmetric"


class ResNet18Spec(_TimmBackbone):
    """ResNet-18, four scales of 64/128/256/512 channels at strides 4 to 32, concatenated at stride 4.

    The default weights are torchvision's first, which DiffusionMTL (arXiv 2403.15389) starts from. They were trained
    with `imagenet` input.
    """

    name: Literal["resnet18"] = "resnet18"
    pretrained: Pretrained = TimmWeights(tag="tv_in1k")
    input: InputValues = "imagenet"


class SegNetSpec(Spec):
    """SegNet of MTAN and Li et al., an encoder-decoder at full resolution, trained from scratch."""

    name: Literal["segnet"] = "segnet"
    width: Channels = Field(64, description="Channels of the first stage; the others have 2, 4, 8 and 8 times as many.")
    pretrained: NoWeights = NoWeights()
    input: InputValues = "unit"


class TaskExpertSpec(_TimmBackbone):
    """TaskExpert: a vision transformer with a mixture of experts and a memory per task at four depths.

    The input is that of its public neighbours (InvPT, TaskPrompter, MLoRE), although the default weights were trained
    with `symmetric` input.
    """

    name: Literal["taskexpert"] = "taskexpert"
    vit: Literal["large", "tiny"] = Field("large", description="ViT-L/16 or ViT-Ti/16, pretrained at 384x384.")
    experts: int = Field(5, ge=1, le=256, description="Experts per tap, shared by the tasks, without the memory.")
    width: Channels = Field(256, description="Channels of experts, memories and heads.")
    pretrained: Pretrained = TimmWeights(tag="augreg_in21k_ft_in1k")
    input: InputValues = "imagenet"
    checkpointing: bool = Field(
        False, description="Save memory at the cost of a second forward pass through each block."
    )


Encoder = Annotated[Hrnet18Spec | EfficientNetLite0Spec | ResNet18Spec, Field(discriminator="name")]
"""Backbones that give feature maps at several scales."""


class DiffusionSpec(Spec):
    """DiffusionMTL: first predictions of a convolutional network, noised and denoised, conditioned on all tasks."""

    name: Literal["diffusion"] = "diffusion"
    encoder: Encoder = Field(ResNet18Spec(), description="The network below, without its heads.")
    denoise: Literal["prediction", "feature"] = Field(
        "feature", description="What is noised and denoised: each task's first prediction, or the feature behind it."
    )
    steps: int = Field(2, ge=1, le=1000, description="Steps of noise, and as many passes through the denoiser.")
    width: int = Field(
        512, ge=4, le=4096, multiple_of=4, description="Channels of decoders and denoiser, in four heads."
    )
    stride: Literal[4, 8] = Field(8, description="Of the maps that are denoised, in pixels of the image.")

    @property
    def pretrained(self) -> Pretrained:
        """Where the encoder's weights come from."""
        return self.encoder.pretrained


BuiltinBackbone = Hrnet18Spec | EfficientNetLite0Spec | ResNet18Spec | SegNetSpec | TaskExpertSpec | DiffusionSpec

if TYPE_CHECKING:
    BackboneSpec = Annotated[BuiltinBackbone, Field(discriminator="name")]
else:
    __getattr__ = union_of("BackboneSpec", "rdc_sweeps.backbones", get_args(BuiltinBackbone))
