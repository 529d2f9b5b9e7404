"""Training curves as figures of Plotly: a line for the mean over seeds, and a band from the lowest to the highest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rdc_sweeps.metrics.metric import METRICS
from rdc_sweeps.reporting.report import Report
from rdc_sweeps.web.readings import Epoch, RunReading

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c8c8c")
"""Told apart by people who do not see all colours (Okabe & Ito), on white and on black."""

DASHES = ("solid", "dash", "dot", "dashdot")
"""Of the lines after all colours were used."""

MOST_POINTS = 200
"""Epochs drawn of a curve; a screen has not many more places for them."""

OTHERS = "other rows"
"""The group of rows that are compared with none."""

DIGITS = 5
"""Significant digits of a drawn value."""


@dataclass(frozen=True)
class Choice:
    """A choice of what a figure shows: the values that the traces have for `key`, by text; empty for all of them."""

    key: str
    title: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Drawing:
    """A figure, and its last values as a table."""

    traces: Sequence[Mapping[str, Any]]
    """Of Plotly; `meta` says to which choices a trace belongs."""
    choices: Sequence[Choice]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Curve:
    """The values of one metric over the epochs that all seeds have reached."""

    epochs: Sequence[int]
    """From 1."""
    seeds: int
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def curve(seeds: Sequence[Sequence[Epoch]], part: str, name: str) -> Curve | None:
    """A metric or loss over epochs.

    Args:
        seeds: The epochs of each seed; those that have none yet are left out.
        part: `test`, `validation` or `losses`.
        name: Of the metric or loss.
    """
    values = [[(epoch[part] or {}).get(name) for epoch in epochs] for epochs in seeds if epochs]
    length = min((len(one) for one in values), default=0)
    points = [
        (epoch + 1, [float(one[epoch]) for one in values])  # type: ignore[arg-type]
        for epoch in _thinned(length)
        if all(one[epoch] is not None for one in values)
    ]
    if not points:
        return None
    return Curve(
        [epoch for epoch, _ in points],
        len(values),
        [_rounded(fmean(found)) for _, found in points],
        [_rounded(min(found)) for _, found in points],
        [_rounded(max(found)) for _, found in points],
    )


def _thinned(length: int) -> list[int]:
    step = -(-length // MOST_POINTS) or 1
    # The last epoch counts most.
    return sorted({*range(0, length, step), length - 1}) if length else []


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def row_groups(report: Report) -> dict[str, list[str]]:
    """Rows that are compared with one another: a baseline with the rows that improve on it, and all others."""
    ids = [row.id for row in report.rows]
    bases = [name for name in ids if any(row.baseline == name for row in report.rows)]
    groups = {base: [base, *(row.id for row in report.rows if row.baseline == base)] for base in bases}
    others = [name for name in ids if not any(name in members for members in groups.values())]
    return groups | ({OTHERS: others} if others else {})


def table_drawing(report: Report, runs: Sequence[RunReading]) -> Drawing | None:
    """The test metrics of a table's rows by epoch; None before the first epoch."""
    metrics = [METRICS[measure.key] for measure in report.measures if METRICS[measure.key].main]
    seeds = {row.id: [one.epochs for one in runs if one.run.row.id == row.id] for row in report.rows}
    curves = {row: {one.name: curve(epochs, "test", one.name) for one in metrics} for row, epochs in seeds.items()}
    groups = row_groups(report)
    traces = [
        trace
        for group, members in groups.items()
        for place, row in enumerate(members)
        for metric, found in curves[row].items()
        if found is not None
        for trace in _traces(found, row, place, {"metric": metric, "rows": group})
    ]
    if not traces:
        return None
    choices = [Choice("metric", "Metric", {metric.name: _axis(metric.name) for metric in metrics})]
    if len(groups) > 1:
        names = {group: group if group == OTHERS else f"{group} and rows compared with it" for group in groups}
        choices.append(Choice("rows", "Rows", {**names, "": "all rows"}))
    lines = []
    for row, found in curves.items():
        known = [one for one in found.values() if one is not None]
        if known:
            texts = ["-" if one is None else _last(one, METRICS[name].text) for name, one in found.items()]
            lines.append([row, str(known[0].epochs[-1]), str(known[0].seeds), *texts])
    return Drawing(traces, choices, ["row", "epoch", "seeds", *(_axis(metric.name) for metric in metrics)], lines)


def run_drawing(reading: RunReading) -> Drawing | None:
    """Test metrics and mean losses of one run by epoch; None before its first epoch."""
    if not reading.epochs:
        return None
    traces: list[Mapping[str, Any]] = []
    options, last = {}, []
    first = reading.epochs[0]
    for part, names in (("test", list(first["test"])), ("losses", list(first["losses"]))):
        for name in names:
            if (found := curve([reading.epochs], part, name)) is not None:
                options[name] = _axis(name) if part == "test" else f"{name} (training)"
                traces += _traces(found, options[name], 0, {"metric": name})
                last.append([options[name], str(found.epochs[-1]), f"{found.mean[-1]:.{DIGITS}g}"])
    return Drawing(traces, [Choice("metric", "Metric", options)], ["", "epoch", "value"], last) if traces else None


def _axis(name: str) -> str:
    metric = METRICS.get(name)
    if metric is None:
        return f"{name} (test)"
    unit = f", {metric.unit}" if metric.unit else ""
    return f"{metric.column_title}{unit} (test; {'higher' if metric.higher_is_better else 'lower'} is better)"


def _last(found: Curve, text: Any) -> str:
    spread = f" ({text(found.low[-1])} to {text(found.high[-1])})" if found.seeds > 1 else ""
    return f"{text(found.mean[-1])}{spread}"


def _traces(found: Curve, name: str, place: int, meta: Mapping[str, str]) -> list[Mapping[str, Any]]:
    colour, dash = COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]
    common = {"legendgroup": name, "meta": dict(meta)}
    line = {
        "x": found.epochs,
        "y": found.mean,
        "name": name,
        # A single epoch is no line.
        "mode": "lines" if len(found.epochs) > 1 else "markers",
        "line": {"color": colour, "dash": dash, "width": 2},
        "marker": {"color": colour},
        "hovertemplate": f"%{{y}} at epoch %{{x}}, {found.seeds} seed{'s' if found.seeds > 1 else ''}",
        **common,
    }
    if found.seeds == 1:
        return [line]
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    band = {
        "x": [*found.epochs, *reversed(found.epochs)],
        "y": [*found.high, *reversed(found.low)],
        "fill": "toself",
        "fillcolor": f"rgba({red},{green},{blue},0.18)",
        "mode": "none",
        "hoverinfo": "skip",
        "showlegend": False,
        **common,
    }
    return [band, line]
