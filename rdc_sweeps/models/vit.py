"""Vision transformers (Dosovitskiy et al. 2021) as backbones: features of four depths at one scale."""

import timm
from torch import Tensor

from rdc_sweeps.models.backbones import Backbone

TAPS = 4


class VisionTransformer(Backbone):
    """The tokens after a quarter, a half, three quarters and all of the blocks, as maps at stride 16.

    Position embeddings stay those of the pretrained size and are resampled to the image's at every step by timm
    (bicubic with antialiasing), so any image whose sides are multiples of 16 will do, and weights of timm's model fit
    as they are. Taps are taken before the last layer norm, which is left out. The image is mapped from [0, 1] to
    [-1, 1], as the weights expect.

    Args:
        architecture: timm's name of a ViT with patches of 16x16.
        checkpointing: Keep only what goes into each block, and compute the rest again in the backward pass.
    """

    body: timm.models.VisionTransformer

    def __init__(self, architecture: str, *, checkpointing: bool = False) -> None:
        super().__init__()
        body = timm.create_model(architecture, dynamic_img_size=True)
        depth = len(body.blocks)
        self.taps = tuple(depth * tap // TAPS - 1 for tap in range(1, TAPS + 1))
        body.prune_intermediate_layers(list(self.taps), prune_norm=True, prune_head=True)
        body.set_grad_checkpointing(checkpointing)
        self.architecture = architecture
        self.body = body
        self.channels = (body.embed_dim,) * TAPS

    def forward(self, image: Tensor) -> list[Tensor]:
        """Four maps (B, width, H / 16, W / 16), the shallowest first."""
        maps: list[Tensor] = self.body.forward_intermediates(
            (image - 0.5) / 0.5, indices=list(self.taps), intermediates_only=True
        )
        return maps
