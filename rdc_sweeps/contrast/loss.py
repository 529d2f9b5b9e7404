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
from rdc_sweeps.contrast.elsewhere import OtherImages, distances_to_same_place
from rdc_sweeps.contrast.further import FurtherNegatives
from rdc_sweeps.contrast.gaussians import Gaussians, region_gaussians
from rdc_sweeps.contrast.index import RegionIndex, as_index
from rdc_sweeps.contrast.infonce import info_nce
from rdc_sweeps.contrast.kl import kl_divergence
from rdc_sweeps.contrast.moments import check_features, region_means
from rdc_sweeps.contrast.outcome import ContrastOutcome
from rdc_sweeps.contrast.pixels import pixel_contrast
from rdc_sweeps.contrast.vectors import cosine_distance, squared_euclidean
from rdc_sweeps.contrast.wasserstein import wasserstein2_squared
from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.contrast import ContrastSpec, GaussianContrast, PixelContrast, VectorContrast
from rdc_sweeps.specs.extensions import implementation

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
                distances = _gaussian_distances(gaussians, spec, further)
        return _within_image(distances, valid, spec, draw, further)


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


def _gaussian_distances(sides: list[Gaussians], spec: GaussianContrast, further: FurtherNegatives | None) -> Tensor:
    own = Gaussians.joined(sides, 1)
    distances = _all_pairs(own, None, spec)
    if further is None:
        return distances
    maps = Gaussians.joined(sides, 0)
    others = maps.map(lambda values: further.rows(values).flatten(1, 2))
    others = dataclasses.replace(others, valid=further.known(maps.valid).flatten(1, 2))
    return torch.cat([distances, _all_pairs(own, others, spec)], 2)


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


def _within_image(
    distances: Tensor,
    valid: Tensor,
    spec: GaussianContrast | VectorContrast,
    draw: Draw,
    further: FurtherNegatives | None,
) -> ContrastOutcome:
    """Eq. 3, 4 and 6 of distances (N, 2R, (2 + C) R).

    Anchors are the regions of the first and then of the second task; candidates are the same, then those of C further
    maps.
    """
    slots = valid.shape[1]
    candidate = torch.arange(distances.shape[2], device=valid.device)
    slot, task = candidate % slots, candidate // slots  # 0 and 1 are the item's own two tasks
    anchor = candidate[: 2 * slots, None]
    same_region = anchor % slots == slot
    other_task = anchor // slots != task
    anchors_valid = valid.repeat(1, 2)
    usable, log_weights = anchors_valid, None
    if further is not None:
        usable = torch.cat([usable, further.known(valid.repeat(2, 1)).flatten(1)], 1)
        own = further.weights.new_ones(valid.shape[0], 2)
        weights = torch.cat([own, further.weights], 1).to(distances.dtype)
        log_weights = weights.log().repeat_interleave(slots, 1)[:, None]
    pairs = anchors_valid[:, :, None] & usable[:, None, :]
    positives = pairs & (same_region & other_task & (task < 2))
    negatives = pairs & ~same_region & (other_task if spec.negatives == "other" else True)
    if spec.negative_count is not None:
        negatives = _sampled_negatives(negatives, spec.negative_count, draw)
    return _outcome(distances, positives, negatives, valid, spec, log_weights)


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
    return _outcome(distances, pairs & first[:, None], pairs & negatives[:, None], valid, spec)


def _outcome(
    distances: Tensor,
    positives: Tensor,
    negatives: Tensor,
    valid: Tensor,
    spec: GaussianContrast | VectorContrast,
    log_weights: Tensor | None = None,
) -> ContrastOutcome:
    """The losses of distances (N, 2R, candidates) and their diagnostics; the masks have the same shape."""
    per_anchor = info_nce(distances, positives, negatives, spec.temperature, log_weights)
    anchors = (2 * valid.sum(1)).clamp_min(1)
    known = distances.detach()
    positive = torch.where(positives, known, 0.0).sum(2)
    nearest = positive < torch.where(negatives, known, torch.inf).amin(2)
    counts = negatives.sum(2)
    slots = (2, valid.shape[1])
    return ContrastOutcome.of(
        losses=per_anchor.sum(1) / anchors,
        valid=valid,
        positive=positive.sum(1) / anchors,
        negative=torch.where(negatives, known, 0.0).sum((1, 2)) / counts.sum(1).clamp_min(1),
        nearest=(nearest & valid.repeat(1, 2)).sum(1) / anchors,
        hits=nearest.to(known.dtype).unflatten(1, slots).mean(1),
        chance=(1 / (1 + counts)).to(known.dtype).unflatten(1, slots).mean(1),
    )


def _sampled_negatives(pairs: Tensor, count: int, draw: Draw) -> Tensor:
    """At most `count` of the true entries of each anchor in pairs (N, 2R, (2 + C) R), drawn without replacement."""
    items, anchors, candidates = pairs.shape
    slots = anchors // 2
    # By task and region, so that an item's numbers do not depend on the number of slots that other images need.
    order = draw((items, 2, slots, candidates // slots, slots)).reshape(pairs.shape).masked_fill(~pairs, -1.0)
    chosen = order.topk(min(count, candidates), dim=-1).indices
    return torch.zeros_like(pairs).scatter_(-1, chosen, True) & pairs
