"""Inputs: Voronoi cells as regions, features like those of the mapping network, Gaussians of few directions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rdc_sweeps.contrast import Gaussians


def voronoi(images: int, height: int, width: int, regions: int, seed: int = 0) -> Tensor:
    """Region maps (images, height, width) of the nearest of `regions` random points."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(images, regions, 2, generator=generator) * torch.tensor([height, width])
    ys, xs = torch.arange(height)[:, None], torch.arange(width)
    maps = []
    for image in points:  # one image at a time: the distances of all need not exist together
        squares = (ys - image[:, 0, None, None]) ** 2 + (xs - image[:, 1, None, None]) ** 2
        maps.append(squares.argmin(0))
    return torch.stack(maps)


def features(images: int, channels: int, height: int, width: int, *, stride: int = 8, seed: int = 0) -> Tensor:
    """Bilinearly resampled noise (images, channels, height, width), as an output `stride` times coarser would be."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(images, channels, height // stride, width // stride, generator=generator)
    return F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)


def gaussians(rows: int, channels: int, *, shrinkage: float = 0.1, seed: int = 0) -> Gaussians:
    """Gaussians that vary in half of the directions only, with the default shrinkage, like those of small regions."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(rows, channels, channels // 2, generator=generator)
    covariance = root @ root.mT / channels
    variance = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
    return Gaussians(
        mean=torch.randn(rows, channels, generator=generator),
        covariance=(1 - shrinkage) * covariance + (shrinkage + 1e-3) * variance * torch.eye(channels),
    )
