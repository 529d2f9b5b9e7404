"""The figure of training curves: losses and metrics by epoch, read from the runs' records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS
from rdc_sweeps.reporting.figures.style import COLOURS, SMALL, USUAL, drawing, name_lines
from rdc_sweeps.reporting.sides import Side
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events

LOSS = "loss"
"""Name of the curve of the mean training loss."""

MOST_BESIDE = 4
"""Names in a line of the legend."""


@dataclass(frozen=True)
class Curves:
    """The epochs of a side: by name (`loss`, or a metric on the test images) and seed, a value or NaN per epoch."""

    name: str
    values: Mapping[str, Mapping[int, Sequence[float]]]


def curves_of(side: Side) -> Curves:
    """The curves of a side's runs, up to the epochs that they have finished.

    Raises:
        DamagedError: A result is damaged.
        EventLogError: An event log is damaged.
    """
    found: dict[str, dict[int, list[float]]] = {}
    for seed, directory in side.runs.items():
        for record in _epochs(directory):
            values = [
                (LOSS, record["losses"].get("loss")),
                *((name, record["test"].get(name)) for name in MAIN_METRICS),
            ]
            for name, value in values:
                found.setdefault(name, {}).setdefault(seed, []).append(np.nan if value is None else float(value))
    whole = {name: seeds for name, seeds in found.items() if not np.isnan(np.concatenate([*seeds.values()])).all()}
    return Curves(side.name, whole)


def _epochs(directory: RunDirectory) -> Sequence[Mapping[str, Mapping[str, float | None]]]:
    result = directory.result()
    if result is not None and result.history:
        return result.history  # type: ignore[return-value]
    return [event["record"] for event in read_events(directory.events) if event["kind"] == "epoch"]


def draw_curves(found: Sequence[Curves]) -> Figure:
    """Mean training loss and main metrics on the test images by epoch.

    A line is the mean over the seeds that have the epoch, and its band one sample standard deviation to either side.
    """
    with drawing():
        names = [name for name in (LOSS, *MAIN_METRICS) if any(name in one.values for one in found)]
        lines = -(-len(found) // MOST_BESIDE)
        figure = Figure(figsize=(3.4 * len(names), 3.1 + 0.2 * lines), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for number, one in enumerate(found):
                if name in one.values:
                    _draw(axes, one.values[name], COLOURS[number % len(COLOURS)], _style(number))
            axes.set_title(_title(name), fontsize=USUAL)
            axes.set_xlabel("epoch", fontsize=SMALL)
            axes.tick_params(labelsize=SMALL)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.25, linewidth=0.6)
        handles = [
            Line2D([], [], color=COLOURS[number % len(COLOURS)], linestyle=_style(number), label=_label(one))
            for number, one in enumerate(found)
        ]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=min(MOST_BESIDE, len(found)), fontsize=SMALL,
            frameon=False,
        )  # fmt: skip
        return figure


def _style(number: int) -> str:
    """More sides than colours differ by their lines."""
    return ("-", "--", ":", "-.")[number // len(COLOURS) % 4]


def _label(one: Curves) -> str:
    seeds = max((len(values) for values in one.values.values()), default=0)
    return f"{name_lines(one.name, 40)}{f' ({seeds} seeds)' if seeds > 1 else ''}"


def _title(name: str) -> str:
    if name == LOSS:
        return "training loss"
    better = "higher" if METRICS[name].higher_is_better else "lower"
    return f"{name}, test ({better} is better)"


def _draw(axes: Axes, seeds: Mapping[int, Sequence[float]], colour: str, style: str) -> None:
    table = np.full((len(seeds), max(map(len, seeds.values()))), np.nan)
    for line, values in zip(table, seeds.values(), strict=True):
        line[: len(values)] = values
    known = np.isfinite(table).sum(axis=0)
    epochs = np.arange(1, table.shape[1] + 1)[known > 0]
    table, known = table[:, known > 0], known[known > 0]
    mean = np.nanmean(table, axis=0)
    axes.plot(
        epochs,
        mean,
        color=colour,
        linestyle=style,
        linewidth=1.5,
        marker="o" if len(epochs) < 30 else None,
        markersize=2.5,
    )
    if len(seeds) > 1:
        squares = np.nansum((table - mean) ** 2, axis=0)
        deviation = np.sqrt(np.divide(squares, known - 1, out=np.zeros_like(squares), where=known > 1))
        axes.fill_between(epochs, mean - deviation, mean + deviation, color=colour, alpha=0.18, linewidth=0)
