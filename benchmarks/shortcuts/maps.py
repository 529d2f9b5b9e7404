"""Maps without content, and regions of very different or of equal size."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rdc_sweeps.regions.maps import NO_REGION, patch_regions
from rdc_sweeps.specs.base import Size

SPREAD = 0.8
"""Deviation of the logarithm of the regions' extents."""


def uneven_regions(generator: torch.Generator, count: int, size: Size, regions: int) -> Tensor:
    """Region ids (count, H, W): what is nearest to random points, each of which counts distance by its own extent."""
    height, width = size
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.rand(count, regions, 2, 1, 1, generator=generator)
    extent = (SPREAD * torch.randn(count, regions, 1, 1, generator=generator)).exp()
    distance = torch.hypot(rows - height * places[:, :, 0], columns - width * places[:, :, 1]) / extent
    return distance.argmin(1)


def even_regions(count: int, size: Size, side: int) -> Tensor:
    """Region ids (count, H, W) of a grid of squares."""
    return patch_regions(*size, side).expand(count, -1, -1)


def thinned(generator: torch.Generator, regions: Tensor, pixels: int) -> Tensor:
    """The same regions (N, H, W) with only this many random pixels of each; those with fewer are left out."""
    few = torch.full_like(regions, NO_REGION)
    for image, whole in enumerate(regions):
        order = torch.randperm(whole.numel(), generator=generator)
        ids, by_id = whole.flatten()[order].sort(stable=True)
        nth = torch.arange(len(ids)) - torch.searchsorted(ids, ids)
        kept = (nth < pixels) & (ids.bincount()[ids] >= pixels)
        few[image].view(-1)[order[by_id[kept]]] = ids[kept]
    return few


def noise(generator: torch.Generator, count: int, channels: int, size: Size, *, coarser: int = 1) -> Tensor:
    """White noise (count, channels, H, W), drawn at a size that is coarser and resampled as predictions are."""
    height, width = size
    drawn = torch.randn(count, channels, height // coarser, width // coarser, generator=generator)
    return drawn if coarser == 1 else F.interpolate(drawn, size=size, mode="bilinear", align_corners=False)
