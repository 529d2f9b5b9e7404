"""Visualisation of id maps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import find_boundaries

from rdc_sweeps.regions.generator import eight_bit
from rdc_sweeps.regions.maps import IdMap


def draw_regions(image: NDArray[np.floating[Any]], regions: IdMap) -> NDArray[np.uint8]:
    """Draw each region in the mean colour of its pixels, outlined in white; pixels without a region are dimmed.

    Args:
        image: (H, W, 3) in [0, 1].
        regions: (H, W).

    Returns:
        (H, W, 3), 0..255.
    """
    pixels = eight_bit(image)
    covered = regions >= 0
    _, ids = np.unique(regions[covered], return_inverse=True)
    colours = pixels[covered].astype(np.float64)
    sums = np.stack([np.bincount(ids, channel) for channel in colours.T], axis=-1)
    drawn = (pixels * 0.3).astype(np.uint8)
    drawn[covered] = np.rint(sums / np.bincount(ids)[:, None])[ids]
    drawn[find_boundaries(regions, mode="inner", background=-1) & covered] = 255
    return drawn
