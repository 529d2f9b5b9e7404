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

ACROSS: Mapping[str, ContrastSpec] = {
    f"{name}, across": spec.model_copy(update={"negatives": "other"}) for name, spec in CONTRASTS.items()
}
"""Against regions of the other side only: two sides that are unlike hide behind their own regions what they share."""

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
    largest: float
    """Share of the hits that are of an image's largest region; NaN without a hit."""

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
    min_pixels: int = MIN_PIXELS,
) -> Iterator[Measured]:
    """Accuracy of each contrast on N images.

    Args:
        what: Names the maps and regions.
        predicted: Features (N, d, h, w) of one side.
        labelled: Of the other side.
        regions: Ids (N, H, W).
        contrasts: By name.
        among: Names and masks (N, H, W) of pixels; the accuracy of the regions mostly inside one is listed too.
        min_pixels: Smaller regions are left out.
    """
    for name, spec in contrasts.items():
        hits, chances, counts, shares = [], [], [], []
        for start in range(0, len(regions), BATCH):
            part = slice(start, start + BATCH)
            index = index_regions(regions[part])
            with torch.no_grad():
                outcome = region_contrast(predicted[part], labelled[part], index, spec, min_pixels=min_pixels)
            hits += list(outcome.hits)
            chances += list(outcome.chance)
            counts += list(index.counts)
            shares.append([_share(index, mask[part]) for _, mask in among])
        yield _mean(what, name, hits, chances, counts)
        for number, (where, _) in enumerate(among):
            inside = [share > 0.5 for batch in shares for share in batch[number]]
            kept = [torch.where(of, hit, torch.nan) for of, hit in zip(inside, hits, strict=True)]
            yield _mean(f"{what}, {where}", name, kept, chances, counts)


def _share(index: RegionIndex, mask: Tensor) -> Tensor:
    """Share (B, R) of each region's pixels inside a mask."""
    slots = (index.slots + 1).flatten(1)
    sums = torch.zeros(len(slots), index.counts.shape[1] + 1)
    return sums.scatter_add(1, slots, mask.flatten(1).float())[:, 1:] / index.counts.clamp_min(1)


def _mean(what: str, contrast: str, hits: list[Tensor], chances: list[Tensor], counts: list[Tensor]) -> Measured:
    accuracy, chance, of_largest = [], [], 0.0
    for hit, by_chance, count in zip(hits, chances, counts, strict=True):
        compared = ~hit.isnan()
        if compared.any():
            accuracy.append(hit[compared].mean())
            chance.append(by_chance[compared].mean())
            of_largest += float(hit[compared][count[compared].argmax()])
    total = sum(float(hit.nansum()) for hit in hits)
    means = torch.stack(accuracy).double()
    return Measured(
        what=what,
        contrast=contrast,
        accuracy=float(means.mean()),
        error=float(means.std() / len(means) ** 0.5),
        chance=float(torch.stack(chance).double().mean()),
        largest=of_largest / total if total else float("nan"),
    )
