"""What the figures of a study show: a field as an axis, the trials by state, and the surface between them."""

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
"""Points along each side of a surface."""

MIN_SURFACE_TRIALS = 4
"""Complete trials that a surface needs."""


@dataclass(frozen=True)
class FieldAxis:
    """A tuned field as an axis of a figure."""

    path: str
    title: str
    low: float
    high: float
    log: bool = False
    choices: tuple[str, ...] | None = None
    """Labels at 0, 1, 2, ... if the field has a list of values."""

    def position(self, value: Any) -> float:
        """The coordinate of a value."""
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
    """Title of the axis along which the trials' curves run: epochs, or seeds."""
    by_seed = any(0 in trial.curve for trial in summary.trials)
    return "seed of the trial, in order" if by_seed else "epoch" + (" over all seeds" if len(summary.seeds) > 1 else "")


def trials_in(summary: StudySummary, phase: str) -> list[TrialSummary]:
    """The trials of a phase that have a value and a complete configuration."""
    fields = max((len(trial.values) for trial in summary.trials), default=0)
    return [
        trial
        for trial in summary.trials
        if trial.phase == phase and trial.value is not None and len(trial.values) == fields
    ]


def best_so_far(summary: StudySummary) -> tuple[list[int], list[float]]:
    """Numbers of the complete trials, and after each the best value so far."""
    better = max if summary.direction == "maximize" else min
    numbers: list[int] = []
    values: list[float] = []
    for trial in trials_in(summary, "complete"):
        numbers.append(trial.number)
        values.append(better([*values[-1:], trial.value or 0.0]))
    return numbers, values


def pruned_places(summary: StudySummary) -> list[float]:
    """Vertical positions of the pruned trials: all slightly worse than the worst complete trial.

    Their own values are those of early epochs, which do not compare with final values, and may be so much worse that
    they would compress the rest of the figure.
    """
    values = [trial.value or 0.0 for trial in trials_in(summary, "complete")]
    pruned = trials_in(summary, "pruned")
    if not values:
        return [trial.value or 0.0 for trial in pruned]
    step = 0.1 * (max(values) - min(values)) or 0.05 * abs(values[0]) or 1.0
    worse = min(values) - step if summary.direction == "maximize" else max(values) + step
    return [worse] * len(pruned)


def pruned_title(summary: StudySummary) -> str:
    """Legend of the pruned trials."""
    return "pruned (no final value)" if summary.count("complete") else "pruned, last value"


def surface_fields(summary: StudySummary, axes: Sequence[FieldAxis]) -> tuple[FieldAxis, FieldAxis] | None:
    """The two fields of the contour figure: temperature and shrinkage, or the two most important ones."""
    numeric = [axis for axis in axes if axis.choices is None]
    named = [axis for end in ("temperature", "shrinkage") for axis in numeric if axis.path.split(".")[-1] == end]
    if len(named) == 2:
        return named[0], named[1]
    ranked = sorted(numeric, key=lambda axis: -summary.importances.get(axis.path, 0.0))
    return (ranked[0], ranked[1]) if len(ranked) > 1 else None


@dataclass(frozen=True)
class Surface:
    """The objective, linearly interpolated over two fields between the complete trials."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    """Shape (y, x); NaN outside the trials."""


def surface(trials: Sequence[TrialSummary], x: FieldAxis, y: FieldAxis) -> Surface | None:
    """Interpolate between trials; None if they are too few, on one line, or all of the same value."""
    values = np.array([trial.value for trial in trials], dtype=np.float64)
    if len(trials) < MIN_SURFACE_TRIALS or np.ptp(values) == 0:
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
