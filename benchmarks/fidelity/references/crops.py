"""The random scale crop of MTAN, MTPSL and the released code, for a zoom and a window that are given."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Window:
    """A zoom, and the top left pixel of what it shows."""

    zoom: float
    top: int
    left: int


def scale_crop(name: str, maps: Tensor, window: Window) -> Tensor:
    """One map (C, H, W) of an image, cropped and enlarged to its old size.

    Images and normals are interpolated with the corner pixels aligned; normals are not brought back to length 1.
    Labels, depth and regions are taken from one pixel each, and depth is divided by the zoom.
    """
    height, width = maps.shape[1:]
    rows, columns = int(height / window.zoom), int(width / window.zoom)
    part = maps[None, :, window.top : window.top + rows, window.left : window.left + columns]
    if name in ("image", "normal"):
        return F.interpolate(part, size=(height, width), mode="bilinear", align_corners=True)[0]
    enlarged = F.interpolate(part.double(), size=(height, width), mode="nearest")[0].to(maps.dtype)
    return enlarged / window.zoom if name == "depth" else enlarged
