"""Pixel contrast in bounded memory: every pixel against every pixel of other regions, tile by tile."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from rdc_sweeps.contrast.arithmetic import Draw, promote, runs_eagerly
from rdc_sweeps.contrast.further import FurtherNegatives
from rdc_sweeps.contrast.index import RegionIndex
from rdc_sweeps.contrast.infonce import contrast_terms
from rdc_sweeps.contrast.moments import at_region_size
from rdc_sweeps.contrast.outcome import ContrastOutcome, ItemOutcomes
from rdc_sweeps.contrast.vectors import unit_vectors
from rdc_sweeps.specs.contrast import PixelContrast

TILE_BYTES = {"cpu": 2**22}
"""Bytes of one tile of similarities; about the memory needed in addition to the inputs and their gradients."""
OTHER_TILE_BYTES = 2**27


@dataclasses.dataclass(frozen=True)
class _Pixels:
    """Selected pixels: position in the image, slot (-1 for none) and number of pixels represented, each (N, P)."""

    places: Tensor
    slots: Tensor
    weights: Tensor


@runs_eagerly
def pixel_contrast(
    prediction_features: Tensor,
    label_features: Tensor,
    index: RegionIndex,
    valid: Tensor,
    spec: PixelContrast,
    draw: Draw,
    further: FurtherNegatives | None = None,
) -> ContrastOutcome:
    """Pixel-to-pixel contrast of two tasks: eq. 3, 4 and 6 with the pixels of both tasks as anchors.

    Exact, it uses all pixels of all valid regions in tiles of bounded size. Sampled, it draws `pixels_per_region`
    pixels of each region without replacement; each represents (pixels of its region) / (pixels drawn), as anchor and as
    negative. The average over anchors and the sum over negatives of eq. 3 are then unbiased, while the loss, a concave
    function of that sum, is in expectation at most the exact one, and equal in the limit of a large sample.
    """
    number = spec.pixels_per_region
    sides = promote(prediction_features, label_features)
    dtype = sides[0].dtype
    pixels = _all(index, valid, dtype) if number is None else _sampled(index, valid, number, draw, dtype)
    first, second = (_at(side, index, pixels.places) for side in sides)
    distance, factors = _similarity(first, second, spec)
    used = pixels.slots >= 0
    anchor_weights = used * pixels.weights
    joining = None if further is None else _further_keys(further, factors, pixels)

    weighted = number is not None or further is not None
    per_anchor, nearest, totals, chance = [], [], [], []
    positive = torch.where(used, distance, 0.0)
    for own, other in ((0, 1), (1, 0)):
        against = (0, 1) if spec.negatives == "both" else (other,)
        queries = factors[own][0]
        keys = torch.cat([factors[side][1] for side in against], 1)
        key_slots, key_weights, biases = (
            value.repeat(1, len(against)) for value in (pixels.slots, anchor_weights, pixels.weights.log())
        )
        if joining is not None:
            keys, key_slots, key_weights, biases = (
                torch.cat(parts, 1) for parts in zip((keys, key_slots, key_weights, biases), joining, strict=True)
            )
        competition, top = OtherRegions.apply(queries, keys, pixels.slots, key_slots, biases if weighted else None)
        per_anchor.append(contrast_terms(-positive / spec.temperature, competition))
        nearest.append(-positive.detach() / spec.temperature > top)
        with torch.no_grad():
            totals.append(_negative_logits(queries, keys, pixels.slots, key_slots, anchor_weights, key_weights))
            keys_of = _per_slot(key_slots, torch.ones_like(key_weights), valid.shape[1])
            chance.append(1 / (1 + keys_of.sum(1, keepdim=True) - keys_of))

    portion = anchor_weights / anchor_weights.sum(1, keepdim=True).clamp_min(1)
    total, negatives = (torch.stack(parts).sum(0) for parts in zip(*totals, strict=True))
    nearer = torch.stack(nearest).to(portion.dtype).mean(0)
    anchors = _per_slot(pixels.slots, torch.ones_like(nearer), valid.shape[1]).clamp_min(1)
    outcomes = ItemOutcomes(
        losses=(torch.stack(per_anchor).mean(0) * portion).sum(1),
        positive=(positive * portion).sum(1),
        negative=-spec.temperature * total / negatives.clamp_min(1),
        nearest=(nearer * portion).sum(1),
        hits=_per_slot(pixels.slots, nearer, valid.shape[1]) / anchors,
        chance=torch.stack(chance).mean(0),
    )
    return ContrastOutcome.of(valid, outcomes)


def _per_slot(slots: Tensor, values: Tensor, capacity: int) -> Tensor:
    """Sums (N, capacity) of values (N, P) by slot (N, P); those with slot -1 are left out."""
    sums = values.new_zeros(values.shape[0], capacity + 1)
    return sums.scatter_add(1, slots + 1, values)[:, 1:]


def _further_keys(
    further: FurtherNegatives, factors: list[tuple[Tensor, Tensor]], pixels: _Pixels
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Keys (N, C P, k) of the pixels of further maps, their slots, weights and the logarithms of their factors.

    The pixels of a map are those that its own item uses.
    """
    slots, weights = (value.repeat(2, 1) for value in (pixels.slots, pixels.weights))
    known = further.known(slots >= 0)
    return (
        further.rows(torch.cat([keys for _, keys in factors])).flatten(1, 2),
        torch.where(known, further.rows(slots), -1).flatten(1),
        (known * further.rows(weights)).flatten(1),
        (further.rows(weights) * further.weights[..., None]).log().to(weights.dtype).flatten(1),
    )


def _all(index: RegionIndex, valid: Tensor, dtype: torch.dtype) -> _Pixels:
    """Every pixel of every valid region, each representing itself."""
    slots = index.slots.flatten(1)
    known = (slots >= 0) & valid.gather(1, slots.clamp_min(0))
    places = torch.arange(slots.shape[1], device=slots.device).expand_as(slots)
    return _Pixels(places, torch.where(known, slots, -1), torch.ones(slots.shape, dtype=dtype, device=slots.device))


def _sampled(index: RegionIndex, valid: Tensor, number: int, draw: Draw, dtype: torch.dtype) -> _Pixels:
    """`number` pixels of every valid region (all, if it has fewer), drawn uniformly without replacement."""
    slots = index.slots.flatten(1)
    capacity = index.counts.shape[1]
    shuffled = torch.where(slots < 0, capacity, slots) + draw(tuple(slots.shape))
    places = shuffled.argsort(1)  # region after region, each in random order, then the pixels without region
    slot = slots.gather(1, places)
    start = (index.counts.cumsum(1) - index.counts).gather(1, slot.clamp_min(0))
    nth = torch.arange(slots.shape[1], device=slots.device) - start
    chosen = (slot >= 0) & (nth < number) & valid.gather(1, slot.clamp_min(0))
    # Chosen pixels move to the front: at most `number` per region, so the sample's size does not depend on the data.
    first = (~chosen).to(torch.uint8).argsort(dim=1, stable=True)[:, : capacity * number]
    places, slot, chosen = (t.gather(1, first) for t in (places, slot, chosen))
    counts = index.counts.gather(1, slot.clamp_min(0)).to(dtype)
    weights = torch.where(chosen, counts / counts.clamp(1, number), 1.0)
    return _Pixels(places, torch.where(chosen, slot, -1), weights)


def _at(features: Tensor, index: RegionIndex, places: Tensor) -> Tensor:
    """Features (N, P, d) at places (N, P) of features (N, d, h, w) resampled to the regions' size."""
    fine = at_region_size(features, index).flatten(2).mT
    return fine.gather(1, places[..., None].expand(-1, -1, fine.shape[-1]))


def _similarity(first: Tensor, second: Tensor, spec: PixelContrast) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Distances (N, P) of equal places, and per side queries and keys (N, P, k) whose products are -D / tau."""
    tau = spec.temperature
    if spec.distance == "dot":
        return -(first * second).sum(-1), [(side / tau, side) for side in (first, second)]
    one = torch.ones_like(first[..., :1])
    if spec.distance == "cosine":
        units = [unit_vectors(side) for side in (first, second)]
        return 1 - (units[0] * units[1]).sum(-1), [
            (torch.cat([unit, -one], -1) / tau, torch.cat([unit, one], -1)) for unit in units
        ]
    # Near the origin, squares cancel least; the same origin for all items, some of which have pixels in common.
    middle = torch.cat([first, second], 1).detach().mean((0, 1))
    factors = []
    for side in (first - middle, second - middle):
        square = side.square().sum(-1, keepdim=True)
        factors.append((torch.cat([2 * side, -square, -one], -1) / tau, torch.cat([side, one, square], -1)))
    return (first - second).square().sum(-1), factors


def _negative_logits(
    queries: Tensor, keys: Tensor, query_slots: Tensor, key_slots: Tensor, query_weights: Tensor, key_weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Weighted sum (N,) of the similarities of different regions, and the sum of weights, from sums per region."""
    capacity = query_slots.shape[1] + 1

    def sums(values: Tensor, slots: Tensor, weights: Tensor) -> Tensor:
        weighted = weights[..., None] * torch.cat([values, torch.ones_like(values[..., :1])], -1)
        total = values.new_zeros(values.shape[0], capacity, weighted.shape[-1])
        return total.scatter_add(1, (slots + 1)[..., None].expand_as(weighted), weighted)[:, 1:]

    left, right = sums(queries, query_slots, query_weights), sums(keys, key_slots, key_weights)
    different = left.sum(1) * right.sum(1) - (left * right).sum(1)
    return different[:, :-1].sum(-1), different[:, -1]


class OtherRegions(torch.autograd.Function):
    """log sum exp of each query's similarity with all keys of other regions, without the matrix of similarities.

    `apply(queries (N, A, k), keys (N, C, k), query_slots (N, A), key_slots (N, C), biases (N, C) or None)` returns
    the logarithm (N, A), with `biases` added to the similarities, and the largest similarity (N, A), without them. Keys
    with a negative slot are ignored. The backward pass computes the tiles again.
    """

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, keys: Tensor, query_slots: Tensor, key_slots: Tensor, biases: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The logarithm (N, A) and the largest similarity (N, A)."""
        lowest = torch.finfo(queries.dtype).min
        total, top = torch.empty_like(queries[..., 0]), torch.empty_like(queries[..., 0])
        for item, part in _tiles(queries, keys):
            tile = _tile(queries, keys, query_slots, key_slots, item, part)
            largest = tile.amax(1).clamp_min(lowest)
            top[item, part] = largest
            if biases is not None:
                largest = tile.add_(biases[item]).amax(1).clamp_min(lowest)
            summed = tile.sub_(largest[:, None]).exp_().sum(1)
            total[item, part] = torch.where(summed == 0, lowest, summed.log() + largest)
        ctx.save_for_backward(queries, keys, query_slots, key_slots, biases, total)
        ctx.mark_non_differentiable(top)
        return total, top

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients with respect to queries and keys."""
        queries, keys, query_slots, key_slots, biases, total = ctx.saved_tensors
        query_gradient, key_gradient = torch.zeros_like(queries), torch.zeros_like(keys)
        for item, part in _tiles(queries, keys):
            tile = _tile(queries, keys, query_slots, key_slots, item, part)
            if biases is not None:
                tile.add_(biases[item])
            tile.sub_(total[item, part, None]).exp_().mul_(weights[item, part, None])
            torch.mm(tile, keys[item], out=query_gradient[item, part])
            key_gradient[item].addmm_(tile.mT, queries[item, part])
        return query_gradient, key_gradient, None, None, None


def _tiles(queries: Tensor, keys: Tensor) -> list[tuple[int, slice]]:
    budget = TILE_BYTES.get(queries.device.type, OTHER_TILE_BYTES)
    size = max(budget // max(keys.shape[1] * keys.element_size(), 1), 1)
    starts = range(0, queries.shape[1], size)
    return [(item, slice(start, start + size)) for item in range(queries.shape[0]) for start in starts]


def _tile(queries: Tensor, keys: Tensor, query_slots: Tensor, key_slots: Tensor, item: int, part: slice) -> Tensor:
    """Similarities (a, C) of one tile, minus infinity where the key is of the query's region or of none."""
    excluded = (query_slots[item, part, None] == key_slots[item]).logical_or_(key_slots[item] < 0)
    return (queries[item, part] @ keys[item].mT).masked_fill_(excluded, -torch.inf)
