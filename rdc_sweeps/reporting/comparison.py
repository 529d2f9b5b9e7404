"""Comparison of rows or runs: their specs, their metrics paired by seed, and their scores paired by image."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.errors import DamagedError, RdcError, UsageError
from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS, MetricName, metrics_of
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.reporting.curves import Curves, curves_of
from rdc_sweeps.reporting.image_source import ImageSource
from rdc_sweeps.reporting.outcomes import Outcome, outcome_of
from rdc_sweeps.reporting.sides import Side, images_key
from rdc_sweeps.reporting.statistics import Difference, corrected, difference, holm, mean_interval
from rdc_sweeps.specs.run import BESIDE
from rdc_sweeps.training.scores import ImageScores

EXTREMES = 5
"""Number of images that are named as those that gain and lose most."""


@dataclass(frozen=True)
class SpecDifference:
    """A field of the specs in which sides differ: its path, and its value in each side as JSON; None: no such field."""

    path: str
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class MetricGain:
    """The gain of a side over the first in one metric, in the metric's unit; above 0 is better, also for errors.

    Attributes:
        metric: Its name.
        side: The name of the side.
        paired: Differences by seed, corrected by Holm over the other sides; None if no seed has both values.
    """

    metric: MetricName
    side: str
    paired: Difference | None


@dataclass(frozen=True)
class ImageGain:
    """The gain of a side over the first in one metric, image by image, in its unit; above 0 is better.

    The score of an image is its mean over the seeds that both sides have.

    Attributes:
        metric: Its name.
        side: The name of the side.
        seeds: Those that both have.
        images: Positions of the images that both have a score for.
        gains: By image.
        mean: Over the images.
        interval: 95 % t interval of the mean; None for one image.
        p: Of a two-sided Wilcoxon signed-rank test, images without difference left out; None if there is none left.
        p_holm: `p`, corrected by Holm over the main metrics and all sides; None for other metrics.
    """

    metric: MetricName
    side: str
    seeds: tuple[int, ...]
    images: tuple[int, ...]
    gains: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None = None

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many images gain, lose, and stay equal."""
        above, below = sum(gain > 0 for gain in self.gains), sum(gain < 0 for gain in self.gains)
        return above, below, len(self.gains) - above - below

    def extremes(self, *, gaining: bool) -> list[tuple[int, float]]:
        """The images that gain (or lose) most, and their gains; those that do not are left out."""
        ordered = sorted(zip(self.images, self.gains, strict=True), key=lambda one: -one[1] if gaining else one[1])
        return [(image, gain) for image, gain in ordered[:EXTREMES] if (gain > 0 if gaining else gain < 0)]


@dataclass(frozen=True)
class Comparison:
    """Two or more sides; all gains are over the first.

    Attributes:
        sides: Rows or runs.
        selection: The rule for the epoch that counts.
        outcomes: By name of the side, one for each seed.
        specs: In what they differ, except for seeds and what is kept beside a training.
        metrics: Gains by metric and side, paired by seed.
        images: Gains by metric and side, paired by image.
        curves: The epochs of each side.
        notes: What is missing, and what a reader must know.
    """

    sides: tuple[Side, ...]
    selection: Selection
    outcomes: Mapping[str, tuple[Outcome, ...]]
    specs: tuple[SpecDifference, ...]
    metrics: tuple[MetricGain, ...]
    images: tuple[ImageGain, ...]
    curves: tuple[Curves, ...]
    notes: tuple[str, ...]


def compare_sides(
    sides: Sequence[Side], source: ImageSource | None, *, selection: Selection | None = None
) -> Comparison:
    """Compare sides with the first one.

    Args:
        sides: At least two.
        source: Where the scores of images are from; None: images are not compared.
        selection: The rule for the epoch that counts; None: that of the first side's profile.

    Raises:
        UsageError: There are fewer than two sides.
    """
    if len(sides) < 2:
        raise UsageError("compare needs two rows or runs; name another TABLE/ROW or the first digits of a run's id")
    rule = selection or sides[0].selection
    names = [name for task in sides[0].spec.dataset.tasks for name in metrics_of(task)]
    outcomes = {
        side.name: tuple(outcome_of(run, side.name, seed, rule, names) for seed, run in side.runs.items())
        for side in sides
    }
    notes = [
        f"{side.name}: run {one.run} (seed {one.seed}) has no metrics: {one.cause}"
        for side in sides
        for one in outcomes[side.name]
        if one.cause
    ]
    first, others = sides[0], sides[1:]
    metrics = _metric_gains(first, others, names, outcomes)
    if any(gain.paired is None for gain in metrics):
        notes.append(f"{first.name} and another side have no finished seed in common, so seeds are not paired")
    images: list[ImageGain] = []
    for other in others if source is not None else ():
        if (problem := _other_images(first, other)) is not None:
            notes.append(problem)
            continue
        try:
            images += _image_gains(first, other, names, source, rule)  # type: ignore[arg-type]
        except RdcError as error:
            notes.append(f"images of {other.name} and {first.name} are not compared: {error}")
    curves: list[Curves] = []
    for side in sides:
        try:
            curves.append(curves_of(side))
        except RdcError as error:
            notes.append(f"{side.name}: no curves: {error}")
    return Comparison(
        sides=tuple(sides),
        selection=rule,
        outcomes=outcomes,
        specs=spec_differences(sides),
        metrics=metrics,
        images=_with_holm(images),
        curves=tuple(curves),
        notes=tuple(notes),
    )


def spec_differences(sides: Sequence[Side]) -> tuple[SpecDifference, ...]:
    """The fields in which the specs differ, in their order."""
    beside = {f"{part}.{name}" for part, names in BESIDE.items() for name in names}
    specs = [dict(_leaves(side.spec.model_dump(mode="json"))) for side in sides]
    paths = dict.fromkeys(path for spec in specs for path in spec)
    found = []
    for path in paths:
        values = tuple(spec.get(path) for spec in specs)
        hidden = path == "seed" or any(path == one or path.startswith(f"{one}.") for one in beside)
        if len(set(values)) > 1 and not hidden:
            found.append(SpecDifference(path, values))
    return tuple(found)


def _leaves(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Dotted paths, and values as JSON."""
    if isinstance(value, dict) and value:
        return [leaf for key, one in value.items() for leaf in _leaves(one, f"{path}.{key}" if path else key)]
    return [(path, json.dumps(value))]


def _metric_gains(
    first: Side, others: Sequence[Side], names: Sequence[MetricName], outcomes: Mapping[str, Sequence[Outcome]]
) -> tuple[MetricGain, ...]:
    found = []
    for name in names:
        paired = {}
        before = _by_seed(outcomes[first.name], name)
        for other in others:
            after = _by_seed(outcomes[other.name], name)
            gains = {seed: _gain(name, before[seed], value) for seed, value in after.items() if seed in before}
            if gains:
                paired[other.name] = difference(gains)
        with_verdicts = corrected(paired)
        found += [MetricGain(name, other.name, with_verdicts.get(other.name)) for other in others]
    return tuple(found)


def _by_seed(outcomes: Sequence[Outcome], name: MetricName) -> dict[int, float]:
    return {one.seed: value for one in outcomes if (value := one.values.get(name)) is not None}


def _gain(name: MetricName, before: Any, after: Any) -> Any:
    return after - before if METRICS[name].higher_is_better else before - after


def _other_images(first: Side, other: Side) -> str | None:
    """Why the images of two sides are not the same; None if they are, as far as is known."""
    if images_key(first) != images_key(other):
        return f"{other.name} has other test images than {first.name}, so images are not compared"
    records = []
    for side in (first, other):
        with suppress(DamagedError):
            records.append(side.run(None).data())
    known = [record.test for record in records if record is not None]
    if len(known) == 2 and known[0].digest != known[1].digest:
        return f"{other.name} was tested on other files than {first.name}, so images are not compared"
    return None


def _image_gains(
    first: Side, other: Side, names: Sequence[MetricName], source: ImageSource, rule: Selection
) -> list[ImageGain]:
    seeds = [seed for seed in first.runs if seed in other.runs]
    # Of runs with different seeds, each is the only one of its side.
    pairs = [(seed, seed) for seed in seeds] or [(next(iter(first.runs)), next(iter(other.runs)))]
    before = [source.scores(first.runs[one], rule) for one, _ in pairs]
    after = [source.scores(other.runs[two], rule) for _, two in pairs]
    if any(not np.array_equal(one.images, before[0].images) for one in (*before, *after)):
        raise UsageError("they have other numbers of test images")
    found = []
    for name in names:
        gains = _gain(name, _mean_scores(before, name), _mean_scores(after, name))
        known = np.isfinite(gains)
        if known.any():
            values = [float(gain) for gain in gains[known]]
            found.append(
                ImageGain(
                    metric=name,
                    side=other.name,
                    seeds=tuple(seeds),
                    images=tuple(int(image) for image in before[0].images[known]),
                    gains=tuple(values),
                    mean=fmean(values),
                    interval=mean_interval(values),
                    p=_wilcoxon(values),
                )
            )
    return found


def _mean_scores(scores: Sequence[ImageScores], name: MetricName) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.mean([one.values[name] for one in scores], axis=0)
    return mean


def _wilcoxon(gains: Sequence[float]) -> float | None:
    if not any(gains):
        return None
    from scipy.stats import wilcoxon

    return float(wilcoxon(gains).pvalue)


def _with_holm(found: Sequence[ImageGain]) -> tuple[ImageGain, ...]:
    p_holm = holm({place: one.p for place, one in enumerate(found) if one.p is not None and one.metric in MAIN_METRICS})
    return tuple(replace(one, p_holm=p_holm.get(place)) for place, one in enumerate(found))
