"""What a probe measured, and estimates made of it; docs/probe.md has the definitions."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from rdc_sweeps.specs.base import Task

Key = TypeVar("Key")

Substitute = Literal["own", "other", "constant", "noise", "truth"]
"""What a term is shown as predictions: the network's own, those for another image, their mean everywhere, random
numbers with their mean and deviation, or the labels of the predicted tasks."""

SUBSTITUTES: tuple[Substitute, ...] = ("own", "other", "constant", "noise", "truth")

FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Places on the path from the prediction, 0, to the truth, 1."""

SIZES = (0.005, 0.02, 0.08, 1.0)
"""Upper ends of the groups of regions by their part of the image."""

BORDERS = (0.0, 0.125, 1.0)
"""Upper ends of the groups of regions by their least distance from the border, in parts of the shorter side."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Record):
    """The mean of a sample.

    Attributes:
        mean: The mean.
        error: Its standard error; None for fewer than two values.
        positive: Share of the values above 0.
        count: Number of values.
    """

    mean: float
    error: float | None
    positive: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Self | None:
        """The estimate of values, missing ones and those that are not finite left out; None if none are left."""
        known = [value for value in values if value is not None and math.isfinite(value)]
        count = len(known)
        if not count:
            return None
        mean = math.fsum(known) / count
        error = None
        if count > 1:
            error = math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (count - 1) / count)
        return cls(mean=mean, error=error, positive=sum(value > 0 for value in known) / count, count=count)


class RegionMeasure(_Record):
    """One region of one image, for one task whose prediction the term uses.

    Attributes:
        image: Index of the image in the training split.
        task: The predicted task.
        part: Part of the image that it covers.
        border: Its least distance from the border, in parts of the shorter side.
        hit: Whether it is nearest to itself in the other task, the mean over both directions.
        chance: That value if the features said nothing.
        cosine: Between the gradients of the term and of the truth with respect to its pixels of the prediction; None if
            the truth has none.
    """

    image: int
    task: Task
    part: float
    border: float
    hit: float
    chance: float
    cosine: float | None


class Probe(_Record):
    """The measurements of one term, by image or by batch; None where a batch has nothing to measure.

    Attributes:
        term: Name of the term.
        batches: Images of each batch, by their indices in the training split.
        values: By substitute, the value of the term in each batch, without its weight.
        accuracy: By substitute, the share of regions that are nearest to themselves in the other task; empty for a term
            that compares no regions.
        path: Per place on the way from prediction to truth, the value of the term in each batch.
        prediction: By task and image, the cosine between the gradients of the term and of the supervised loss of the
            task's label with respect to the prediction.
        parameters: By task, or `all`, that with respect to the parameters of the network, in each batch.
        ratios: By task, or `all`, the norm of the former gradient over that of the latter, with the term's weight.
        regions: Every region of every image; empty for a term that compares no regions.
    """

    term: str
    batches: list[list[int]]
    values: dict[Substitute, list[float]]
    accuracy: dict[Substitute, list[float | None]]
    path: list[list[float]]
    prediction: dict[Task, dict[int, float]]
    parameters: dict[str, list[float | None]]
    ratios: dict[str, list[float | None]]
    regions: list[RegionMeasure]

    def alignment(self) -> float | None:
        """The mean over tasks of the mean cosine with respect to the prediction; None without any."""
        means = [found.mean for of_task in self.prediction.values() if (found := Estimate.of(list(of_task.values())))]
        return math.fsum(means) / len(means) if means else None

    def headline(self) -> dict[str, float]:
        """The main means by name, as they are logged during a training."""
        samples: dict[str, Sequence[float | None]] = {
            **{f"value/{name}": values for name, values in self.values.items()},
            **{f"accuracy/{name}": values for name, values in self.accuracy.items()},
            "chance": [region.chance for region in self.regions],
            **{f"cosine/{task}": list(values.values()) for task, values in self.prediction.items()},
            **{f"cosine_parameters/{name}": values for name, values in self.parameters.items()},
            **{f"ratio/{name}": values for name, values in self.ratios.items()},
        }
        found = {name: estimate.mean for name, values in samples.items() if (estimate := Estimate.of(values))}
        if (alignment := self.alignment()) is not None:
            found["alignment"] = alignment
        return {f"{self.term}/{name}": value for name, value in found.items()}


def headlines(probes: Sequence[Probe]) -> dict[str, float]:
    """The headlines of all terms of a method together."""
    return {name: value for probe in probes for name, value in probe.headline().items()}


class RegionGroup(_Record):
    """Regions between two sizes, or two distances from the border; estimates are over images.

    Attributes:
        above: Lower end, exclusive; None for the first group.
        upto: Upper end, inclusive.
        regions: Number of regions.
        accuracy: Mean of `RegionMeasure.hit`.
        chance: Mean of `RegionMeasure.chance`.
        cosine: By task, the mean of `RegionMeasure.cosine`.
    """

    above: float | None
    upto: float
    regions: int
    accuracy: Estimate | None
    chance: float | None
    cosine: dict[Task, Estimate]


def grouped(
    regions: Sequence[RegionMeasure], by: Literal["part", "border"], ends: Sequence[float]
) -> list[RegionGroup]:
    """Regions in groups with the given upper ends."""
    groups = []
    for above, upto in zip((None, *ends), ends, strict=False):
        inside = [
            region
            for region in regions
            if getattr(region, by) <= upto and (above is None or getattr(region, by) > above)
        ]
        tasks = sorted({region.task for region in inside})
        of_task = {
            task: Estimate.of(
                _per_image([(one.image, one.cosine) for one in inside if one.task == task and one.cosine is not None])
            )
            for task in tasks
        }
        chance = Estimate.of(_per_image([(region.image, region.chance) for region in inside]))
        groups.append(
            RegionGroup(
                above=above,
                upto=upto,
                regions=len(inside),
                accuracy=Estimate.of(_per_image([(region.image, region.hit) for region in inside])),
                chance=chance.mean if chance else None,
                cosine={task: estimate for task, estimate in of_task.items() if estimate},
            )
        )
    return groups


def _per_image(values: Sequence[tuple[int, float]]) -> list[float]:
    """Means of the values of each image: regions of one image are not independent."""
    by_image: dict[int, list[float]] = {}
    for image, value in values:
        if math.isfinite(value):
            by_image.setdefault(image, []).append(value)
    return [math.fsum(of_image) / len(of_image) for of_image in by_image.values()]


def differences(one: Mapping[Key, float], other: Mapping[Key, float]) -> Estimate | None:
    """`other` less `one`, paired by key; None if they have no key in common."""
    return Estimate.of([other[key] - one[key] for key in one.keys() & other.keys()])
