"""HRNet-W18-Small-v2 (Wang et al., TPAMI 2020): the backbone that the paper calls HRNet18."""

import timm
from torch import Tensor

from rdc_sweeps.models.backbones import Backbone


class HRNet18(Backbone):
    """Four scales of 18/36/72/144 channels at strides 4 to 32.

    The image goes in as it is, in [0, 1]: the published protocol does not subtract the ImageNet mean.
    """

    architecture = "hrnet_w18_small_v2"

    def __init__(self) -> None:
        super().__init__()
        # An empty feature_location gives the branches themselves, not the widened classification features;
        # index 0 would be the stem at stride 2.
        body = timm.create_model(self.architecture, features_only=True, feature_location="", out_indices=(1, 2, 3, 4))
        self.body = body
        self.channels = tuple(body.feature_info.channels())

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps at strides 4, 8, 16, 32; see `Backbone.forward`."""
        maps: list[Tensor] = self.body(image)
        return maps
