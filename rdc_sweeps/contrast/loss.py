"""The region-wise contrastive loss L_RC (eq. 6) of predictions against labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rdc_sweeps.contrast.arithmetic import Draw, full_precision
from rdc_sweeps.contrast.candidates import Candidates, item_outcomes
from rdc_sweeps.contrast.elsewhere import OtherImages, distances_to_same_place
from rdc_sweeps.contrast.further import FurtherNegatives
from rdc_sweeps.contrast.gaussians import Gaussians, region_gaussians
from rdc_sweeps.contrast.index import RegionIndex, as_index
from rdc_sweeps.contrast.kl import kl_divergence
from rdc_sweeps.contrast.moments import check_features, region_means
from rdc_sweeps.contrast.outcome import ContrastOutcome, ItemOutcomes
from rdc_sweeps.contrast.pixels import pixel_contrast
from rdc_sweeps.contrast.turns import compare_in_turns
from rdc_sweeps.contrast.vectors import cosine_distance, squared_euclidean
from rdc_sweeps.contrast.wasserstein import wasserstein2_squared
from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.contrast import ContrastSpec, GaussianContrast, PixelContrast, VectorContrast
from rdc_sweeps.specs.extensions import implementation

TURN_BYTES = 2**28
"""Size of the polar factors of items that are compared at once; beyond that, items take turns."""

DistanceFunction = Callable[[Any, Gaussians, Gaussians], Tensor]
"""An extension's distance: from its spec and Gaussians with mean (..., Ra, d) and (..., Rb, d) to all (..., Ra, Rb)."""


def region_contrast(
    prediction_features: Tensor,
    label_features: Tensor,
    regions: Tensor | RegionIndex,
    spec: ContrastSpec,
    *,
    min_pixels: int,
    max_regions: int | None = None,
    draw: Draw | None = None,
    further: FurtherNegatives | None = None,
    others: OtherImages | None = None,
) -> ContrastOutcome:
    """L_RC of N items, each the features of one task's prediction and of another task's label (eq. 3 to 6).

    Every region of either task is an anchor; its positive is the same region of the other task, its negatives the
    other regions of the same image, or the same place in other images. Runs in float32 (float64 for float64 features),
    also under autocast, and never waits for the device if the regions are a RegionIndex or `max_regions` is given.

    Args:
        prediction_features: Tensor (N, d, h, w), of the task without label.
        label_features: Tensor (N, d, h, w), of the labelled task. Detach a side that must not get a gradient.
        regions: Tensor (N, H, W) of region ids, or a RegionIndex of N items: with several task pairs per image, index
            the images once and `select` the image of each item.
        spec: A GaussianContrast, VectorContrast or PixelContrast.
        min_pixels: Regions with fewer pixels are left out.
        max_regions: See `index_regions`; ignored for a RegionIndex.
        draw: Source of the random numbers that choose the pixels of a sampled PixelContrast, or negatives if their
            number is limited; torch's global generator if not given.
        further: Maps of other items whose regions are negatives too; without them, negatives are of an item's two maps.
        others: Where the negatives of other images are; needed for `negatives: images`, which are then the only ones.

    Raises:
        UsageError: A shape does not fit, `min_pixels` is below 1, or `others` is missing.
    """
    if prediction_features.shape != label_features.shape:
        raise UsageError(
            f"prediction and label features must have one shape, not {tuple(prediction_features.shape)} "
            f"and {tuple(label_features.shape)}"
        )
    index = as_index(regions, prediction_features, max_regions)
    check_features(prediction_features, index)
    check_features(label_features, index)
    valid = index.valid(min_pixels)
    sides = (prediction_features, label_features)
    further = None if further is None else further.to(prediction_features.device)
    draw = partial(torch.rand, dtype=torch.float64, device=prediction_features.device) if draw is None else draw
    with full_precision(prediction_features):
        match spec:
            case PixelContrast():
                return pixel_contrast(*sides, index, valid, spec, draw, further)
            case VectorContrast():
                distance = cosine_distance if spec.distance == "cosine" else squared_euclidean
                means = [region_means(side, index) for side in sides]
                if spec.negatives == "images":
                    others = _given(others)
                    distances = distances_to_same_place(means, others, index, region_means, distance)
                    return _between_images(distances, valid, spec, others)
                distances = _vector_distances(means, distance, further)
            case GaussianContrast():
                represent = partial(region_gaussians, spec=spec.covariance, min_pixels=min_pixels)
                gaussians = [represent(side, index) for side in sides]
                if spec.negatives == "images":
                    others = _given(others)
                    compare = partial(_all_pairs, spec=spec)
                    distances = distances_to_same_place(gaussians, others, index, represent, compare)
                    return _between_images(distances, valid, spec, others)
                candidates = Candidates.of(valid, spec, draw, further)
                return ContrastOutcome.of(valid, _gaussian_comparison(gaussians, candidates, spec, further))
        return ContrastOutcome.of(valid, Candidates.of(valid, spec, draw, further).compared(distances, spec))


def _given(others: OtherImages | None) -> OtherImages:
    if others is None:
        raise UsageError("negatives: images needs the maps of other images")
    return others


def _vector_distances(
    sides: list[Tensor], distance: Callable[[Tensor, Tensor], Tensor], further: FurtherNegatives | None
) -> Tensor:
    own = torch.cat(sides, 1)
    others = own if further is None else torch.cat([own, further.rows(torch.cat(sides)).flatten(1, 2)], 1)
    return distance(own, others)


@dataclasses.dataclass(frozen=True)
class _Maps:
    """Gaussians (N, 2R) of the items' own two maps, and those (N, C R) of their further maps."""

    own: Gaussians
    others: Gaussians | None


def _gaussian_comparison(
    sides: list[Gaussians], candidates: Candidates, spec: GaussianContrast, further: FurtherNegatives | None
) -> ItemOutcomes:
    own, others = Gaussians.joined(sides, 1), None
    if further is not None:
        both = Gaussians.joined(sides, 0)
        others = both.map(lambda values: further.rows(values).flatten(1, 2))
        others = dataclasses.replace(others, valid=further.known(both.valid).flatten(1, 2))

    def compare(gaussians: _Maps, items: slice) -> ItemOutcomes:
        distances = _all_pairs(gaussians.own, None, spec)
        if gaussians.others is not None:
            distances = torch.cat([distances, _all_pairs(gaussians.own, gaussians.others, spec)], 2)
        return candidates.of_items(items).compared(distances, spec)

    maps = _Maps(own, others)
    return compare_in_turns(compare, maps, _items_of_a_turn(maps) if spec.distance == "wasserstein" else None)


def _items_of_a_turn(maps: _Maps) -> int:
    anchors = maps.own.mean.shape[1]
    pairs = anchors * (anchors - 1) // 2 + (0 if maps.others is None else anchors * maps.others.mean.shape[1])
    return max(TURN_BYTES // (pairs * maps.own.channels**2 * maps.own.covariance.element_size()), 1)


def _all_pairs(a: Gaussians, b: Gaussians | None, spec: GaussianContrast) -> Tensor:
    """Distances (..., Ra, Rb) of Gaussians; without b those of a to itself."""
    if spec.distance == "wasserstein":
        return wasserstein2_squared(a, b, root=spec.root)
    other = a if b is None else b
    if spec.distance == "kl":
        return kl_divergence(a, other, direction=spec.direction, diagonal=spec.diagonal)
    return _extension_distances(a, other, spec.distance)


def _extension_distances(a: Gaussians, b: Gaussians, spec: Spec) -> Tensor:
    distance: DistanceFunction = implementation("rdc_sweeps.distances", spec, {})
    distances = distance(spec, a, b)
    expected = (*a.mean.shape[:-1], b.mean.shape[-2])
    if distances.shape != expected:
        raise UsageError(
            f"{type(spec).__name__}: distances of shape {tuple(distances.shape)}, expected {expected}: "
            "one for each pair of regions"
        )
    return distances


def _between_images(
    distances: Tensor, valid: Tensor, spec: GaussianContrast | VectorContrast, others: OtherImages
) -> ContrastOutcome:
    """Eq. 3, 4 and 6 of `distances_to_same_place`; items without other images have no valid region."""
    known = others.known.to(valid.device, non_blocking=True)
    valid = valid & known.any(1, keepdim=True)
    pairs = valid.repeat(1, 2)[:, :, None]
    negatives = F.pad(known, (1, 0))
    first = torch.zeros_like(negatives)
    first[:, 0] = True
    outcomes = item_outcomes(distances, pairs & first[:, None], pairs & negatives[:, None], valid, spec)
    return ContrastOutcome.of(valid, outcomes)
