"""What region maps are like, and how well regions can follow the borders of labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import dilation, footprint_rectangle

from rdc_sweeps.regions.maps import IdMap

Label = NDArray[np.integer[Any]]
"""Class numbers (H, W); negative is void."""

TOLERANCE = 0.0025
"""How far from a border of the label one of a region may be, as a part of the image's diagonal (Stutz et al. 2018)."""


@dataclass(frozen=True)
class Agreement:
    """How well the regions of an image can follow its semantic label; pixels without a label or region do not count.

    Attributes:
        achievable_accuracy: Share of pixels that are right if each region is given its most frequent class (Liu et al.
            2011).
        undersegmentation: For each class and each region that has pixels of it, the smaller of the numbers of the
            region's pixels in the class and outside, summed, as a share of all pixels (Neubert & Protzel 2012).
        boundary_recall: Share of the label's border pixels that have a border of regions within `TOLERANCE`, which is
            at least a pixel; None if the label has no border.
    """

    achievable_accuracy: float
    undersegmentation: float
    boundary_recall: float | None


@dataclass(frozen=True)
class MapStatistics:
    """The region map of an image.

    Attributes:
        sizes: int64 (n,), pixels of each region.
        pixels: Of the image.
        agreement: With the label; None without one.
    """

    sizes: NDArray[np.int64]
    pixels: int
    agreement: Agreement | None = None

    @property
    def coverage(self) -> float:
        """Share of pixels that belong to a region."""
        return float(self.sizes.sum() / self.pixels)


def map_statistics(regions: IdMap, label: Label | None = None) -> MapStatistics:
    """Count the regions of an image, and compare them with its semantic label.

    Args:
        regions: (H, W).
        label: (H, W); None: there is none.
    """
    sizes = np.bincount(regions[regions >= 0])
    return MapStatistics(sizes[sizes > 0], regions.size, None if label is None else agreement(regions, label))


def agreement(regions: IdMap, label: Label) -> Agreement | None:
    """Compare the regions (H, W) of an image with its semantic label (H, W); None if no pixel has both."""
    both = (regions >= 0) & (label >= 0)
    if not both.any():
        return None
    ids, classes = regions[both].astype(np.int64), label[both].astype(np.int64)
    width = int(classes.max()) + 1
    counts = np.bincount(ids * width + classes, minlength=(int(ids.max()) + 1) * width).reshape(-1, width)
    outside = counts.sum(axis=1, keepdims=True) - counts
    return Agreement(
        float(counts.max(axis=1).sum() / ids.size),
        float(np.minimum(counts, outside).sum() / ids.size),
        _boundary_recall(regions, label),
    )


def _boundary_recall(regions: IdMap, label: Label) -> float | None:
    wanted = _borders(label, label >= 0)
    if not wanted.any():
        return None
    reach = max(1, round(TOLERANCE * float(np.hypot(*label.shape))))
    near = dilation(_borders(regions, np.ones(regions.shape, np.bool_)), footprint_rectangle((2 * reach + 1,) * 2))
    return float(near[wanted].mean())


def _borders(values: Label, counted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels (H, W) with another value right of or below them; both pixels must be `counted`."""
    borders = np.zeros(values.shape, np.bool_)
    borders[:, :-1] |= (values[:, :-1] != values[:, 1:]) & counted[:, :-1] & counted[:, 1:]
    borders[:-1] |= (values[:-1] != values[1:]) & counted[:-1] & counted[1:]
    return borders
