"""Masks that can overlap, kept as run lengths, and how they become one id map."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label

from rdc_sweeps.regions.maps import NO_REGION, IdMap, contiguous

Pixels = NDArray[np.bool_]
"""A mask (H, W)."""


class Mask(NamedTuple):
    """A mask of an image, in a few kB.

    Attributes:
        counts: Numbers of pixels outside, inside, outside, ... the mask, down its columns one after the other: the
            uncompressed run lengths of COCO, as segment-anything gives them.
        predicted_iou: The network's own estimate of the mask's IoU with the truth.
    """

    counts: NDArray[np.integer[Any]]
    predicted_iou: float

    @classmethod
    def of(cls, pixels: Pixels, predicted_iou: float) -> Self:
        """The mask of these pixels (H, W)."""
        columns = pixels.T.ravel()
        changes = np.flatnonzero(columns[1:] != columns[:-1]) + 1
        counts = np.diff(np.concatenate([[0], changes, [columns.size]]))
        return cls(np.concatenate([[0], counts]) if columns[0] else counts, predicted_iou)

    @property
    def area(self) -> int:
        """Number of its pixels."""
        return int(self.counts[1::2].sum())

    def pixels(self, height: int, width: int) -> Pixels:
        """The mask (H, W)."""
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(inside, self.counts).reshape(width, height).T


def overlay(masks: Iterable[Mask], height: int, width: int) -> IdMap:
    """Combine masks that can overlap into one id map (H, W); at most a few masks are unpacked at a time.

    The rule: a pixel belongs to the smallest mask that covers it; of masks of equal area to the one with the higher
    predicted IoU, then to the one that starts first, row by row. Pixels that no mask covers are `NO_REGION`. Ids are
    renumbered 0..n-1 in order of first appearance, row by row, so that the order of the masks does not matter and a
    mask hidden by smaller ones has no id.
    """
    ids = np.full((height, width), NO_REGION, np.int32)
    for number, pixels in enumerate(_painted_in_order(masks, height, width)):
        ids[pixels] = number
    return contiguous(ids)


def _painted_in_order(masks: Iterable[Mask], height: int, width: int) -> Iterator[Pixels]:
    """Masks from the one that all others cover to the one that covers all others."""

    def rank(mask: Mask) -> tuple[int, float]:
        return -mask.area, mask.predicted_iou

    for _, equal in groupby(sorted(masks, key=rank), key=rank):
        # Packed bits order masks by their first differing pixel: its mask starts earlier and is painted later.
        packed = sorted(np.packbits(mask.pixels(height, width)).tobytes() for mask in equal)
        for bits in packed:
            flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=height * width)
            yield flat.reshape(height, width).astype(np.bool_)


def without_small_parts(pixels: Pixels, least: int) -> Pixels:
    """Fill the holes of a mask (H, W) that have fewer than `least` pixels, then remove its islands that have fewer.

    Diagonal neighbours are connected. If all islands are too small, the largest stays.
    """
    holes = label(~pixels, connectivity=2)
    filled = pixels | (np.bincount(holes.ravel()) < least)[holes] & ~pixels
    islands = label(filled, connectivity=2)
    sizes = np.bincount(islands.ravel())
    sizes[0] = 0
    kept = sizes >= least
    if not kept.any():
        kept[sizes.argmax()] = sizes.any()
    cleaned: Pixels = kept[islands]
    return cleaned


def cleaned(masks: Sequence[Mask], least: int, height: int, width: int, box_nms: float) -> list[Mask]:
    """Masks without parts smaller than `least` pixels; of those whose boxes then overlap too much, one is kept.

    As segment-anything does with `min_mask_region_area`, but a mask at a time.

    Args:
        masks: Of an image.
        least: Number of pixels of a hole or island that stays.
        height: Of the image.
        width: Of the image.
        box_nms: Of masks whose boxes have a greater IoU, unchanged ones are kept, else the first.
    """
    from torchvision.ops import nms

    found, boxes, unchanged = [], [], []
    for mask in masks:
        before = mask.pixels(height, width)
        after = without_small_parts(before, least)
        unchanged.append(bool((before == after).all()))
        found.append(mask if unchanged[-1] else Mask.of(after, mask.predicted_iou))
        boxes.append(_box(after))
    if not found:
        return []
    kept = nms(torch.tensor(boxes, dtype=torch.float32), torch.tensor(unchanged, dtype=torch.float32), box_nms)
    return [found[place] for place in kept.tolist()]


def _box(pixels: Pixels) -> tuple[int, int, int, int]:
    """First column and row, last column and row; zeros for an empty mask."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])) if rows.size else (0, 0, 0, 0)
