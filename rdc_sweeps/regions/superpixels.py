"""Superpixels: regions that need no weights or labels."""

from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.segmentation import felzenszwalb, slic

from rdc_sweeps.regions.generator import eight_bit, generator_key
from rdc_sweeps.regions.maps import IdMap, contiguous
from rdc_sweeps.regions.merging import merge_neighbours
from rdc_sweeps.specs.sources import SuperpixelRegions

FINER = 8
"""Fine segments of `merged` have at least an eighth of the mean size of the regions that are made of them."""


class SuperpixelGenerator:
    """Connected regions of similar colour that cover every pixel.

    `slic`: SLIC (Achanta et al. 2012). `merged`: segments of Felzenszwalb & Huttenlocher (2004), whose neighbours are
    merged by `merge_neighbours` by their mean colour (CIELAB) and place.
    """

    def __init__(self, spec: SuperpixelRegions) -> None:
        self.spec = spec

    @property
    def key(self) -> str:
        """Settings and the version of scikit-image, whose algorithms have changed between versions."""
        return generator_key({**self.spec.model_dump(mode="json"), "scikit-image": version("scikit-image")})

    def __call__(self, image: NDArray[np.floating[Any]]) -> IdMap:
        """Id map (H, W) without `NO_REGION`."""
        pixels = eight_bit(image)
        return contiguous(self._slic(pixels) if self.spec.algorithm == "slic" else self._merged(pixels))

    def _slic(self, pixels: NDArray[np.uint8]) -> IdMap:
        ids: IdMap = slic(
            pixels,
            n_segments=self.spec.segments,
            compactness=self.spec.compactness,
            sigma=self.spec.sigma,
            start_label=0,
            channel_axis=-1,
        )
        return ids

    def _merged(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        small = _reduced(pixels, self.spec.reduction)
        height, width = small.shape[:2]
        area = height * width / self.spec.segments
        fine = felzenszwalb(small, scale=self.spec.scale, sigma=self.spec.sigma, min_size=max(1, int(area / FINER)))
        # As in SLIC, a distance of the side of a mean region counts as much as one of `compactness` in colour.
        places = np.indices((height, width)).transpose(1, 2, 0) * (self.spec.compactness / np.sqrt(area))
        merged = merge_neighbours(fine, np.concatenate([rgb2lab(small), places], axis=-1), self.spec.segments)
        whole = merged.repeat(self.spec.reduction, axis=0).repeat(self.spec.reduction, axis=1)
        return whole[: pixels.shape[0], : pixels.shape[1]]


def _reduced(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.float32]:
    """Means of squares of `factor` pixels, in [0, 1]; squares that the edge cuts off are filled with its pixels."""
    height, width = (-(-side // factor) for side in pixels.shape[:2])
    padding = ((0, height * factor - pixels.shape[0]), (0, width * factor - pixels.shape[1]), (0, 0))
    squares = np.pad(pixels, padding, mode="edge").reshape(height, factor, width, factor, 3)
    means: NDArray[np.float32] = squares.mean(axis=(1, 3), dtype=np.float32) / 255
    return means
