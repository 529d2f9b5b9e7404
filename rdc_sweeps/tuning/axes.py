"""What the plots of a study have in common: axes, colours, and which trials are shown how."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.tri import LinearTriInterpolator, Triangulation
from numpy.typing import NDArray

from rdc_sweeps.specs.ranges import IntegerRange, LogRange, Range, UniformRange
from rdc_sweeps.tuning.summary import StudySummary, TrialSummary
from rdc_sweeps.tuning.texts import short_titles, value_text

COLOURS = {
    "complete": "#3b6fb6",
    "pruned": "#8c8c8c",
    "failed": "#c0392b",
    "running": "#7b5ea7",
    "best": "#d9730d",
    "default": "#23854f",
}

SURFACE_POINTS = 100
"""A surface is drawn on so many points a side."""

SURFACE_FROM = 4
"""Complete trials that a surface needs."""


@dataclass(frozen=True)
class FieldAxis:
    """A tuned field as an axis."""

    path: str
    title: str
    low: float
    high: float
    log: bool = False
    choices: tuple[str, ...] | None = None
    """What stands at 0, 1, 2... if the field has values to choose from."""

    def position(self, value: Any) -> float:
        """Where a value stands."""
        return float(value) if self.choices is None else float(self.choices.index(value_text(value)))


def field_axes(space: Mapping[str, Range]) -> list[FieldAxis]:
    """One axis per tuned field, in the order of the space."""
    titles = short_titles(list(space))
    return [_axis(path, titles[path], drawn) for path, drawn in space.items()]


def _axis(path: str, title: str, drawn: Range) -> FieldAxis:
    if isinstance(drawn, UniformRange):
        return FieldAxis(path, title, *drawn.uniform)
    if isinstance(drawn, LogRange):
        return FieldAxis(path, title, *drawn.log, log=True)
    if isinstance(drawn, IntegerRange):
        return FieldAxis(path, title, *drawn.integer, log=drawn.log)
    choices = tuple(value_text(value) for value in drawn.choice)
    return FieldAxis(path, title, 0, len(choices) - 1, choices=choices)


def step_title(summary: StudySummary) -> str:
    """What the steps of the trials' curves are."""
    by_seed = any(0 in trial.curve for trial in summary.trials)
    return "seed of the trial, in order" if by_seed else "epoch" + (" over all seeds" if len(summary.seeds) > 1 else "")


def shown(summary: StudySummary, phase: str) -> list[TrialSummary]:
    """The trials of a phase that have a value and a whole configuration."""
    fields = max((len(trial.values) for trial in summary.trials), default=0)
    return [
        trial
        for trial in summary.trials
        if trial.phase == phase and trial.value is not None and len(trial.values) == fields
    ]


def best_so_far(summary: StudySummary) -> tuple[list[int], list[float]]:
    """Numbers of complete trials, and the best value among them up to there."""
    better = max if summary.direction == "maximize" else min
    numbers: list[int] = []
    values: list[float] = []
    for trial in shown(summary, "complete"):
        numbers.append(trial.number)
        values.append(better([*values[-1:], trial.value or 0.0]))
    return numbers, values


def pruned_places(summary: StudySummary) -> list[float]:
    """Where pruned trials stand beside complete ones: all a little worse than the worst of these.

    A value of an early epoch compares with no last one, and may be worse by so much that nothing else could be read.
    """
    values = [trial.value or 0.0 for trial in shown(summary, "complete")]
    pruned = shown(summary, "pruned")
    if not values:
        return [trial.value or 0.0 for trial in pruned]
    step = 0.1 * (max(values) - min(values)) or 0.05 * abs(values[0]) or 1.0
    worse = min(values) - step if summary.direction == "maximize" else max(values) + step
    return [worse] * len(pruned)


def pruned_title(summary: StudySummary) -> str:
    """What the marks of pruned trials are."""
    return "pruned (no last value)" if summary.count("complete") else "pruned, where it ended"


def surface_fields(summary: StudySummary, axes: Sequence[FieldAxis]) -> tuple[FieldAxis, FieldAxis] | None:
    """The two fields that a surface is drawn over: temperature and shrinkage, or the two that matter most."""
    numeric = [axis for axis in axes if axis.choices is None]
    named = [axis for end in ("temperature", "shrinkage") for axis in numeric if axis.path.split(".")[-1] == end]
    if len(named) == 2:
        return named[0], named[1]
    ranked = sorted(numeric, key=lambda axis: -summary.importances.get(axis.path, 0.0))
    return (ranked[0], ranked[1]) if len(ranked) > 1 else None


@dataclass(frozen=True)
class Surface:
    """The objective between complete trials, linearly interpolated over two fields."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    """Shape (y, x); NaN outside the trials."""


def surface(trials: Sequence[TrialSummary], x: FieldAxis, y: FieldAxis) -> Surface | None:
    """The surface; None if the trials are too few, on a line, or all of the same value."""
    values = np.array([trial.value for trial in trials], dtype=np.float64)
    if len(trials) < SURFACE_FROM or np.ptp(values) == 0:
        return None
    places = [np.array([_scaled(axis, trial) for trial in trials]) for axis in (x, y)]
    try:
        interpolate = LinearTriInterpolator(Triangulation(*places), values)
    except (RuntimeError, ValueError):
        # No triangle has an area.
        return None
    sides = [np.linspace(place.min(), place.max(), SURFACE_POINTS) for place in places]
    z = np.ma.filled(interpolate(*np.meshgrid(*sides)), np.nan)
    if not np.isfinite(z).any():
        return None
    ends = [10**side if axis.log else side for axis, side in zip((x, y), sides, strict=True)]
    return Surface(ends[0], ends[1], z)


def _scaled(axis: FieldAxis, trial: TrialSummary) -> float:
    position = axis.position(trial.values[axis.path])
    return float(np.log10(position)) if axis.log else position
