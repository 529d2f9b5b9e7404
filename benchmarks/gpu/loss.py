"""L_RC with gradients, from indexed regions: 30 and 100 regions, and the 432 patches."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.contrast.scenes import features, voronoi
from benchmarks.gpu.timing import cost
from rdc_sweeps.contrast import region_contrast
from rdc_sweeps.contrast.index import RegionIndex, as_index
from rdc_sweeps.specs.contrast import ContrastSpec, GaussianContrast, VectorContrast

SPECS: dict[str, ContrastSpec] = {
    "gaussian wasserstein": GaussianContrast(),
    "gaussian kl": GaussianContrast(distance="kl"),
    "vector": VectorContrast(),
}
MAP, FEATURES, CHANNELS = (144, 192), (18, 24), 32
"""Sizes of the region map and of a_theta's output under the profile `paper`."""


def run(device: torch.device, small: bool) -> list[dict[str, Any]]:
    """A row for each contrast and regions. Items are a batch of ten images with two pairs of tasks each."""
    items, repeats = (1, 1) if small else (20, 10)
    grid = torch.arange(432).reshape(1, 18, 24).repeat_interleave(8, 1).repeat_interleave(8, 2).expand(items, -1, -1)
    maps = {str(regions): voronoi(items, *MAP, regions) for regions in ((30,) if small else (30, 100))}
    if not small:
        maps["432 patches"] = grid
    sides = [features(items, CHANNELS, *FEATURES, stride=1, seed=seed).to(device) for seed in (1, 2)]
    rows = []
    for regions, map_ in maps.items():
        index = as_index(map_, sides[0].cpu(), None).to(device)
        for name, spec in SPECS.items():
            found = cost(partial(_step, sides, index, spec), device, repeats)
            rows.append(
                {
                    "regions": regions,
                    "contrast": name,
                    "items": items,
                    "ms": found and 1000 * found.seconds,
                    "peak GiB": found and found.gib,
                }
            )
    return rows


def _step(sides: list[Tensor], index: RegionIndex, spec: ContrastSpec) -> None:
    leaves = [side.detach().requires_grad_() for side in sides]
    torch.autograd.backward(region_contrast(leaves[0], leaves[1], index, spec, min_pixels=2).loss)
