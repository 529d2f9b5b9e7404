"""Measures candidates at a wanted mean number of regions."""

import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.regions.candidates import Candidate, Pixels
from rdc_sweeps.regions.statistics import MapStatistics, map_statistics

TUNED_ON = 6
"""Images on which a knob is set."""

STEPS = 7
"""Of the bisection."""


@dataclass(frozen=True)
class Labelled:
    """An image (H, W, 3) and its semantic label (H, W)."""

    image: Pixels
    label: NDArray[np.int16]


@dataclass(frozen=True)
class Measures:
    """Means over images.

    Attributes:
        regions, asa, undersegmentation, boundary_recall: See `rdc_sweeps.regions.statistics`.
        small: Share of regions with fewer pixels than a tenth of the mean region.
        milliseconds: CPU time for an image.
    """

    regions: float
    asa: float
    undersegmentation: float
    boundary_recall: float
    small: float
    milliseconds: float


@dataclass(frozen=True)
class Row:
    """What was measured of a candidate with two values of its knob, for slightly fewer and more regions than wanted.

    Attributes:
        algorithm, parameters, knob: Of the candidate.
        values: Of the knob.
        measured: With each of the values.
    """

    algorithm: str
    parameters: str
    knob: str
    values: tuple[float, float]
    measured: tuple[Measures, Measures]

    def at(self, regions: float) -> Measures:
        """The measures at a number of regions, on the line through the two measured numbers."""
        few, many = self.measured
        span = many.regions - few.regions
        part = (regions - few.regions) / span if span > 1e-6 else 0.5
        # Far outside of what was measured, a line says nothing.
        part = min(max(part, -0.5), 1.5)
        return Measures(*(a + part * (b - a) for a, b in zip(astuple(few), astuple(many), strict=True)))


def measure(candidate: Candidate, images: Sequence[Labelled], wanted: float) -> Row:
    """Find two values of the knob around `wanted` regions on some of the images, and measure both on all."""
    few, many = _knob(candidate, images[:: max(1, len(images) // TUNED_ON)], wanted)
    measured = _measures(candidate, images, few, wanted), _measures(candidate, images, many, wanted)
    return Row(candidate.algorithm, candidate.parameters, candidate.knob, (few, many), measured)


def _measures(candidate: Candidate, images: Sequence[Labelled], value: float, wanted: float) -> Measures:
    found: list[MapStatistics] = []
    seconds = 0.0
    for one in images:
        start = time.process_time()
        ids = candidate.ids(one.image, value)
        seconds += time.process_time() - start
        found.append(map_statistics(ids, one.label))
    agreements = [one.agreement for one in found if one.agreement]
    return Measures(
        float(np.mean([one.sizes.size for one in found])),
        float(np.mean([one.achievable_accuracy for one in agreements])),
        float(np.mean([one.undersegmentation for one in agreements])),
        float(np.mean([one.boundary_recall for one in agreements if one.boundary_recall is not None])),
        float(np.mean([(one.sizes < one.pixels / wanted / 10).mean() for one in found])),
        1000 * seconds / len(images),
    )


def _knob(candidate: Candidate, images: Sequence[Labelled], wanted: float) -> tuple[float, float]:
    """Two values of the knob, for fewer and for more regions, by bisection of its logarithm."""
    few, many = np.log(candidate.fewest), np.log(candidate.most)
    for _ in range(STEPS):
        middle = (few + many) / 2
        regions = float(np.mean([candidate.ids(one.image, float(np.exp(middle))).max() + 1 for one in images]))
        few, many = (middle, many) if regions < wanted else (few, middle)
    return float(np.exp(few)), float(np.exp(many))
