"""Fields, values, ranges and objectives of a study as text; light to import, because the dry run needs it too."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rdc_sweeps.metrics.metric import METRICS
from rdc_sweeps.specs.ranges import IntegerRange, LogRange, Range, UniformRange

DIGITS = 4
"""Significant digits of a value in a table; files and commands have all digits."""


def short_titles(paths: Sequence[str]) -> dict[str, str]:
    """The shortest ends of dotted paths that are still different."""
    titles = {}
    for path in paths:
        keys = path.split(".")
        ends = (".".join(keys[-length:]) for length in range(1, len(keys) + 1))
        titles[path] = next(
            end for end in ends if end == path or not any(other.endswith(f".{end}") for other in paths if other != path)
        )
    return titles


def value_text(value: Any) -> str:
    """A value of a configuration, rounded for display."""
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    return value if isinstance(value, str) else json.dumps(value)


def values_text(values: Mapping[str, Any]) -> str:
    """A configuration in one line."""
    titles = short_titles(list(values))
    return ", ".join(f"{titles[path]} {value_text(value)}" for path, value in values.items())


def range_text(drawn: Range) -> str:
    """A range in words."""
    if isinstance(drawn, UniformRange):
        return _ends(drawn.uniform)
    if isinstance(drawn, LogRange):
        return f"{_ends(drawn.log)}, logarithmic"
    if isinstance(drawn, IntegerRange):
        step = f", step {drawn.step}" if drawn.step > 1 else ""
        return f"whole numbers {_ends(drawn.integer)}{step}{', logarithmic' if drawn.log else ''}"
    return " or ".join(value_text(value) for value in drawn.choice)


def _ends(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g} to {ends[1]:g}"


def objective_title(objective: str) -> str:
    """Title of an axis: the objective, its unit, and the images that it is measured on."""
    if (metric := METRICS.get(objective)) is None:
        return f"{objective.replace('delta-m', 'Δm')}, % (validation)"
    unit = f", {metric.unit}" if metric.unit else ""
    better = "higher" if metric.higher_is_better else "lower"
    return f"{objective}{unit} (validation; {better} is better)"


def objective_text(value: float | None, objective: str) -> str:
    """A value of the objective as text; delta-m has its sign."""
    if value is None:
        return "-"
    metric = METRICS.get(objective)
    return metric.text(value) if metric else f"{value:+.2f} %"
