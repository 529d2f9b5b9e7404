"""The algorithms and parameters that are compared; each has a knob that sets how many regions there are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.filters import gaussian, sobel
from skimage.segmentation import felzenszwalb, quickshift, slic, watershed

from rdc_sweeps.regions.maps import IdMap, contiguous
from rdc_sweeps.regions.merging import merge_neighbours
from rdc_sweeps.regions.superpixels import SuperpixelGenerator
from rdc_sweeps.specs.sources import SuperpixelRegions

RECOMMENDED = SuperpixelRegions(algorithm="merged", compactness=10.0, sigma=0.5)
"""The settings of docs/regions.md, except for the number of regions."""

Pixels = NDArray[np.uint8]
"""(H, W, 3)."""


@dataclass(frozen=True)
class Candidate:
    """An algorithm with its parameters.

    Attributes:
        algorithm: Its name.
        parameters: As text.
        segment: Called with an image and the knob's value; returns ids (H, W).
        knob: Name of the parameter that is set so that there are as many regions as wanted.
        fewest, most: The knob's values for few and for many regions.
        always: Measured at all sizes, and shown.
    """

    algorithm: str
    parameters: str
    segment: Callable[[Pixels, float], NDArray[np.integer[Any]]]
    knob: str
    fewest: float
    most: float
    always: bool = False

    def ids(self, image: Pixels, value: float) -> IdMap:
        """Id map (H, W) of an image."""
        return contiguous(self.segment(image, value))


def candidates() -> Iterator[Candidate]:
    """All that are compared."""
    for compactness in (5.0, 10.0, 20.0, 40.0):
        for sigma in (0.0, 0.5, 1.0):
            yield _slic(f"compactness {compactness:g}, sigma {sigma:g}", compactness=compactness, sigma=sigma)
    yield _slic("compactness 20, sigma 0.5, 20 iterations", compactness=20.0, sigma=0.5, max_num_iter=20)
    yield _slic("compactness 20, sigma 0.5, parts not joined", compactness=20.0, sigma=0.5, enforce_connectivity=False)
    for compactness in (0.1, 0.2, 0.5):
        yield _slic(
            f"RGB, compactness {compactness:g}, sigma 0.5", compactness=compactness, sigma=0.5, convert2lab=False
        )
    for sigma in (0.0, 1.0):
        yield _slic(f"SLIC-zero, sigma {sigma:g}", sigma=sigma, slic_zero=True)
    for sigma in (0.5, 0.8):
        for share in (5, 10):
            yield Candidate(
                "felzenszwalb",
                f"sigma {sigma:g}, min_size 1/{50 * share} of the image",
                partial(_felzenszwalb, sigma=sigma, share=50 * share),
                "scale", 3000.0, 3.0,
            )  # fmt: skip
    for compactness in (0.0, 1e-4, 1e-3, 1e-2):
        yield Candidate(
            "watershed", f"CIELAB gradient, compactness {compactness:g}",
            partial(_watershed, compactness=compactness), "markers", 10.0, 200.0,
        )  # fmt: skip
    for ratio in (0.5, 0.8):
        yield Candidate(
            "quickshift", f"kernel_size 3, ratio {ratio:g}", partial(_quickshift, ratio=ratio), "max_dist", 40.0, 4.0
        )
    for compactness in (5.0, 10.0, 20.0):
        yield Candidate(
            "slic, merged", f"250 segments, compactness {compactness:g}, sigma 0.5",
            partial(_merged_slic, compactness=compactness), "segments", 10.0, 200.0,
        )  # fmt: skip
    for changes in (
        {}, {"compactness": 5.0}, {"compactness": 20.0}, {"sigma": 0.3}, {"sigma": 0.8}, {"scale": 30.0},
        {"scale": 80.0}, {"reduction": 2},
    ):  # fmt: skip
        yield _merged(RECOMMENDED.model_copy(update=changes))


def _slic(parameters: str, **options: Any) -> Candidate:
    def segment(image: Pixels, segments: float) -> IdMap:
        # In RGB, the colours are those of an image in [0, 1].
        shown = image if options.get("convert2lab", True) else image / np.float32(255)
        found: IdMap = slic(shown, n_segments=round(segments), start_label=0, channel_axis=-1, **options)
        return found

    usual = SuperpixelRegions()
    default = options == {"compactness": usual.compactness, "sigma": usual.sigma}
    return Candidate("slic", parameters, segment, "segments", 10.0, 200.0, always=default)


def _merged(spec: SuperpixelRegions) -> Candidate:
    def segment(image: Pixels, segments: float) -> IdMap:
        chosen = spec.model_copy(update={"segments": round(segments)})
        return SuperpixelGenerator(chosen)(image / np.float32(255))

    parameters = f"compactness {spec.compactness:g}, sigma {spec.sigma:g}, scale {spec.scale:g}"
    if spec.reduction > 1:
        parameters += f", reduction {spec.reduction}"
    recommended = spec in (RECOMMENDED, RECOMMENDED.model_copy(update={"reduction": 2}))
    return Candidate("merged", parameters, segment, "segments", 10.0, 200.0, always=recommended)


def _felzenszwalb(image: Pixels, scale: float, *, sigma: float, share: int) -> IdMap:
    size = max(1, image.shape[0] * image.shape[1] // share)
    found: IdMap = felzenszwalb(image, scale=scale, sigma=sigma, min_size=size)
    return found


def _watershed(image: Pixels, markers: float, *, compactness: float) -> IdMap:
    lab = gaussian(rgb2lab(image), 1, channel_axis=-1)
    gradient = np.max([sobel(channel) for channel in lab.transpose(2, 0, 1)], axis=0) / 100
    found: IdMap = watershed(gradient, markers=round(markers), compactness=compactness)
    return found


def _quickshift(image: Pixels, max_dist: float, *, ratio: float) -> IdMap:
    found: IdMap = quickshift(image, kernel_size=3, max_dist=max_dist, ratio=ratio)
    return found


def _merged_slic(image: Pixels, segments: float, *, compactness: float) -> NDArray[np.int64]:
    fine = slic(image, n_segments=250, compactness=compactness, sigma=0.5, start_label=0, channel_axis=-1)
    height, width = image.shape[:2]
    places = np.indices((height, width)).transpose(1, 2, 0) * (10 / np.sqrt(height * width / segments))
    return merge_neighbours(fine, np.concatenate([rgb2lab(image), places], axis=-1), round(segments))
