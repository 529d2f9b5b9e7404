"""The figure of training curves: losses and metrics by epoch, read from the runs' records."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS
from rdc_sweeps.reporting.curves import LOSS, Curves
from rdc_sweeps.reporting.figures.style import COLOURS, SMALL, USUAL, drawing, name_lines

MOST_BESIDE = 4
"""Names in a line of the legend."""


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
