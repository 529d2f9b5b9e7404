"""The share of regions that the contrast tells apart, against chance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rdc_sweeps.contrast import RegionIndex, index_regions, region_contrast
from rdc_sweeps.specs.contrast import ContrastSpec, CovarianceSpec, GaussianContrast, PixelContrast, VectorContrast

CONTRASTS: Mapping[str, ContrastSpec] = {
    "vector": VectorContrast(),
    "vector, squared": VectorContrast(distance="squared_euclidean"),
    "pixel": PixelContrast(),
    "Gaussian, W2": GaussianContrast(),
    "Gaussian, KL": GaussianContrast(distance="kl", covariance=CovarianceSpec(pooled_ridge=0.1)),
}
"""Pooled ridge: KL is not finite without for regions that hardly vary."""

MIN_PIXELS = 10
BATCH = 10


@dataclass(frozen=True)
class Measured:
    """Accuracy over images, with chance."""

    what: str
    contrast: str
    accuracy: float
    error: float
    """Standard error over images."""
    chance: float

    @property
    def ratio(self) -> float:
        return self.accuracy / self.chance


def measured(
    what: str,
    predicted: Tensor,
    labelled: Tensor,
    regions: Tensor,
    contrasts: Mapping[str, ContrastSpec] = CONTRASTS,
    among: Sequence[tuple[str, Tensor]] = (),
) -> Iterator[Measured]:
    """Accuracy of each contrast on N images.

    Args:
        what: Names the maps and regions.
        predicted: Features (N, d, h, w) of one side.
        labelled: Of the other side.
        regions: Ids (N, H, W).
        contrasts: By name.
        among: Names and masks (N, H, W) of pixels; the accuracy of the regions mostly inside one is listed too.
    """
    for name, spec in contrasts.items():
        hits, chances, shares = [], [], []
        for start in range(0, len(regions), BATCH):
            part = slice(start, start + BATCH)
            index = index_regions(regions[part])
            with torch.no_grad():
                outcome = region_contrast(predicted[part], labelled[part], index, spec, min_pixels=MIN_PIXELS)
            hits += list(outcome.hits)
            chances += list(outcome.chance)
            shares.append([_share(index, mask[part]) for _, mask in among])
        yield _mean(what, name, hits, chances)
        for number, (where, _) in enumerate(among):
            inside = [share > 0.5 for batch in shares for share in batch[number]]
            kept = [torch.where(of, hit, torch.nan) for of, hit in zip(inside, hits, strict=True)]
            yield _mean(f"{what}, {where}", name, kept, chances)


def _share(index: RegionIndex, mask: Tensor) -> Tensor:
    """Share (B, R) of each region's pixels inside a mask."""
    slots = (index.slots + 1).flatten(1)
    sums = torch.zeros(len(slots), index.counts.shape[1] + 1)
    return sums.scatter_add(1, slots, mask.flatten(1).float())[:, 1:] / index.counts.clamp_min(1)


def _mean(what: str, contrast: str, hits: list[Tensor], chances: list[Tensor]) -> Measured:
    pairs = [
        (hit.nanmean(), chance[~hit.isnan()].mean())
        for hit, chance in zip(hits, chances, strict=True)
        if not hit.isnan().all()
    ]
    accuracy, chance = (torch.stack(values).double() for values in zip(*pairs, strict=True))
    return Measured(
        what, contrast, float(accuracy.mean()), float(accuracy.std() / len(accuracy) ** 0.5), float(chance.mean())
    )
