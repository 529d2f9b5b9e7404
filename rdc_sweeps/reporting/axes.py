"""The properties in which the rows of a table differ: the label columns of a report, read from the specs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rdc_sweeps.specs.catalogue import Run


@dataclass(frozen=True)
class Axis:
    """A property of a run that may differ between rows."""

    key: str
    title: str
    value: Callable[[Run], str | None]
    """The property; None for a row that does not have it."""
    marks: tuple[str, ...] = ()
    """Its values, if each is a column of check marks as in the paper; else the value is printed."""
    text: Callable[[Run], str] | None = None
    """The text to print instead of the value."""


@dataclass(frozen=True)
class Column:
    """A column of labels: of check marks if `mark`, else of text."""

    key: str
    title: str
    mark: bool


def _part(run: Run, *names: str) -> Any:
    """A nested part of the method's spec; None if this method has no such part."""
    node: Any = run.spec.method
    for name in names:
        node = getattr(node, name, None)
    return node


def _distance(run: Run) -> str | None:
    # The distance of vectors and pixels comes with the contrast; only Gaussians have a choice that the paper studies.
    if _part(run, "contrast", "name") != "gaussian":
        return None
    distance = _part(run, "contrast", "distance")
    return str(getattr(distance, "name", distance))  # an extension's distance is a spec


AXES = (
    Axis("label_setting", "Label setting", lambda run: run.spec.labels.setting),
    Axis("method", "Method", lambda run: run.spec.method.name, text=lambda run: run.row.method),
    Axis("backbone", "Backbone", lambda run: run.spec.backbone.name),
    Axis("extraction", "Extraction", lambda run: _part(run, "extraction", "name"), marks=("patch", "region")),
    Axis("contrast", "Contrast", lambda run: _part(run, "contrast", "name"), marks=("vector", "pixel", "gaussian")),
    Axis("distance", "Gaussian distance", _distance),
    Axis("regions", "Regions", lambda run: _part(run, "extraction", "regions", "source")),
)
"""In the paper's order of columns."""


def _values(axis: Axis, runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(value for run in runs if (value := axis.value(run)) is not None))


def label_columns(runs: Sequence[Run]) -> tuple[Column, ...]:
    """Columns for the properties that differ between runs; check marks only for values that occur."""
    columns: list[Column] = []
    for axis in AXES:
        found = _values(axis, runs)
        if len(found) < 2:
            continue
        if axis.marks:
            columns += [Column(mark, mark.capitalize(), True) for mark in axis.marks if mark in found]
        else:
            columns.append(Column(axis.key, axis.title, False))
    return tuple(columns)


def labels(run: Run, columns: Sequence[Column]) -> tuple[str | bool, ...]:
    """A run's labels in these columns."""
    found: dict[str, str | bool] = {}
    for axis in AXES:
        value = axis.value(run)
        found[axis.key] = (axis.text(run) if axis.text else value) or ""
        found.update({mark: mark == value for mark in axis.marks})
    return tuple(found[column.key] for column in columns)


def common_facts(runs: Sequence[Run]) -> dict[str, str]:
    """Properties that all runs that have them share, by title."""
    shared = ((axis, _values(axis, runs)) for axis in AXES)
    return {axis.title.lower(): found[0] for axis, found in shared if len(found) == 1}
