"""Superpixels: regions that need no weights or labels."""

from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic

from rdc_sweeps.regions.generator import eight_bit, generator_key
from rdc_sweeps.regions.maps import IdMap, contiguous
from rdc_sweeps.specs.sources import SuperpixelRegions


class SuperpixelGenerator:
    """SLIC (Achanta et al. 2012): connected regions of similar colour that cover every pixel."""

    def __init__(self, spec: SuperpixelRegions) -> None:
        self.spec = spec

    @property
    def key(self) -> str:
        """Settings and the version of scikit-image, whose SLIC has changed between versions."""
        return generator_key({**self.spec.model_dump(mode="json"), "scikit-image": version("scikit-image")})

    def __call__(self, image: NDArray[np.floating[Any]]) -> IdMap:
        """Id map (H, W) without `NO_REGION`."""
        return contiguous(
            slic(
                eight_bit(image),
                n_segments=self.spec.segments,
                compactness=self.spec.compactness,
                sigma=self.spec.sigma,
                start_label=0,
                channel_axis=-1,
            )
        )
