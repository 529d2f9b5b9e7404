"""(b) The whole L_RC of one task pair at 144 x 192, against loops, and the other strategies beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.contrast import references
from benchmarks.contrast.scenes import features, voronoi
from benchmarks.contrast.timing import interleaved, medians, paired_ratio
from rdc_sweeps.contrast import RegionIndex, index_regions, region_contrast
from rdc_sweeps.specs.contrast import ContrastSpec, CovarianceSpec, GaussianContrast, PixelContrast, VectorContrast

SPECS: dict[str, ContrastSpec] = {
    "gaussian wasserstein": GaussianContrast(),
    "gaussian wasserstein oas": GaussianContrast(covariance=CovarianceSpec(shrinkage="oas")),
    "gaussian kl": GaussianContrast(distance="kl", direction="a_to_b"),
    "vector": VectorContrast(),
    "pixel, 16 per region": PixelContrast(distance="cosine", temperature=0.1, pixels_per_region=16),
}


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per number of regions."""
    return [_row(regions, 1 if quick else 3) for regions in (30, 100)]


def run_patches(quick: bool) -> list[dict[str, Any]]:
    """The 432 patches of 8 x 8 as regions, beside the same without what shows their low rank, and 100 regions."""
    prediction, label = (features(1, 32, 18, 24, stride=1, seed=seed) for seed in (1, 2))
    grid = torch.arange(432).reshape(1, 18, 24).repeat_interleave(8, 1).repeat_interleave(8, 2)
    maps: dict[str, Tensor | RegionIndex] = {
        "patches": grid,
        "patches of any rank": index_regions(grid),
        "regions": voronoi(1, 144, 192, 100),
    }
    candidates: dict[str, Callable[[], object]] = {
        name: partial(step, prediction, label, map_, GaussianContrast()) for name, map_ in maps.items()
    }
    seconds = interleaved(candidates, 1 if quick else 3)
    return [
        {
            "seconds": medians(seconds),
            "pairs": 864 * 863 // 2,
            "threads": torch.get_num_threads(),
            "patches_over_100_regions": paired_ratio(seconds["patches"], seconds["regions"]),
            "any_rank_over_low_rank": paired_ratio(seconds["patches of any rank"], seconds["patches"]),
        }
    ]


def _row(regions: int, repeats: int) -> dict[str, Any]:
    prediction, label = (features(1, 32, 144, 192, seed=seed) for seed in (1, 2))
    maps = voronoi(1, 144, 192, regions)
    gaussian = GaussianContrast()
    loops = partial(
        references.loss_by_loops,
        prediction[0].double().numpy(),
        label[0].double().numpy(),
        maps[0].numpy(),
        gaussian.temperature,
        float(gaussian.covariance.shrinkage),
        gaussian.covariance.ridge,
    )
    candidates: dict[str, Callable[[], object]] = {
        name: partial(step, prediction, label, maps, spec) for name, spec in SPECS.items()
    }
    seconds = interleaved({**candidates, "loops, no gradient": loops}, repeats)
    expected, found = loops(), step(prediction, label, maps, gaussian).item()
    return {
        "regions": regions,
        "seconds": medians(seconds),
        "loops_over_ours": paired_ratio(seconds["loops, no gradient"], seconds["gaussian wasserstein"]),
        "relative_difference_from_loops": abs(found - expected) / expected,
    }


def step(prediction: Tensor, label: Tensor, maps: Tensor | RegionIndex, spec: ContrastSpec) -> Tensor:
    """Loss and gradients of both sides, starting from the region map."""
    sides = [side.detach().requires_grad_() for side in (prediction, label)]
    loss = region_contrast(sides[0], sides[1], maps, spec, min_pixels=2).loss
    torch.autograd.backward(loss)
    return loss.detach()
