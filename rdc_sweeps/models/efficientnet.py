"""EfficientNet-Lite0 (Tan & Le 2019, Lite variant): the light backbone for CPUs."""

import timm
from torch import Tensor, nn

from rdc_sweeps.models.backbones import Backbone

PROJECTED = 32


class EfficientNetLite0(Backbone):
    """Features at strides 4, 8, 16, 32, each projected to 32 channels by a 1x1 convolution.

    The bare features have 24/40/112/320 channels. A 1x1 convolution and bilinear upsampling commute, so projecting
    first spares the heads a 496-channel map at stride 4, which would cost more than the backbone itself.

    ImageNet weights of this model expect (x - 127) / 128 of 0..255, so [0, 1] is mapped to [-1, 1] here.
    """

    architecture = "tf_efficientnet_lite0"

    def __init__(self) -> None:
        super().__init__()
        body = timm.create_model(self.architecture, features_only=True, out_indices=(1, 2, 3, 4))
        bare = body.feature_info.channels()
        self.body = body
        self.projections = nn.ModuleList(nn.Conv2d(channels, PROJECTED, 1) for channels in bare)
        self.channels = (PROJECTED,) * len(bare)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps at strides 4, 8, 16, 32; see `Backbone.forward`."""
        maps = self.body((image - 0.5) / 0.5)
        return [project(features) for project, features in zip(self.projections, maps, strict=True)]
