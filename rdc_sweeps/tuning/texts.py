"""Fields, values, ranges and objectives of a study as text; light to import, because the dry run needs it too."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rdc_sweeps.metrics.metric import METRICS
from rdc_sweeps.specs.ranges import IntegerRange, LogRange, Range, UniformRange
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.study import AlignmentObjective, DeltaObjective, MetricObjective, ObjectiveSpec

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


def objective_name(spec: ObjectiveSpec, baseline_row: str | None) -> str:
    """An objective in a few words, of which the first is its own name; the texts below are made from it."""
    match spec:
        case MetricObjective():
            return spec.metric
        case AlignmentObjective():
            return f"{spec.name} of {spec.term}"
        case DeltaObjective():
            return f"{spec.name} over {baseline_row}"


def is_alignment(objective: str) -> bool:
    """Whether an objective is measured by probes of training images, not on validation images."""
    return objective.partition(" ")[0] == "alignment"


def objective_title(objective: str) -> str:
    """Title of an axis: the objective, its unit, and the images that it is measured on."""
    if is_alignment(objective):
        return f"{objective}, cosine (training)"
    if (metric := METRICS.get(objective)) is None:
        return f"{objective.replace('delta-m', 'Δm')}, % (validation)"
    unit = f", {metric.unit}" if metric.unit else ""
    better = "higher" if metric.higher_is_better else "lower"
    return f"{objective}{unit} (validation; {better} is better)"


def objective_text(value: float | None, objective: str) -> str:
    """A value of the objective as text; delta-m and alignment have their sign."""
    if value is None:
        return "-"
    if is_alignment(objective):
        return f"{value:+.4f}"
    metric = METRICS.get(objective)
    return metric.text(value) if metric else f"{value:+.2f} %"


def caveat(objective: str) -> str:
    """What a reader must know of the best trial."""
    if is_alignment(objective):
        return (
            "Alignment is measured with all labels of training images, also withheld ones: the choice says what the "
            "term looks at, and is no result of training without these labels. The best of many values is partly luck."
        )
    return "The best of many validation values is partly luck; the test images show what it is worth."


def measured_on(spec: ObjectiveSpec, run: RunSpec) -> str:
    """The images on which the trials of a study are measured."""
    if isinstance(spec, AlignmentObjective):
        return f"{spec.images} training images, with all of their labels"
    return f"{run.dataset.validation_images} images held out of the training split"
