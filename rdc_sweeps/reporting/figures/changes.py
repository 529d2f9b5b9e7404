"""The figure of gains image by image."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS
from rdc_sweeps.reporting.comparison import ImageGain
from rdc_sweeps.reporting.figures.style import COLOURS, SMALL, USUAL, drawing, name_lines

GAINING, LOSING = COLOURS[0], COLOURS[1]

NAMED = 3
"""Images at each end whose positions are written beside their bars."""


def draw_changes(first: str, gains: Sequence[ImageGain]) -> Figure | None:
    """The gain of each test image over the first side, in order, for each side and main metric; None without any.

    The broken line is the mean, and its band the 95 % t interval over the images.
    """
    shown = [gain for gain in gains if gain.metric in MAIN_METRICS]
    sides = list(dict.fromkeys(gain.side for gain in shown))
    metrics = [name for name in MAIN_METRICS if any(gain.metric == name for gain in shown)]
    if not shown:
        return None
    with drawing():
        figure = Figure(figsize=(3.8 * len(metrics), 2.6 * len(sides) + 0.5), layout="constrained")
        cells = figure.subplots(len(sides), len(metrics), squeeze=False)
        for line, side in zip(cells, sides, strict=True):
            for axes, name in zip(line, metrics, strict=True):
                found = [gain for gain in shown if (gain.side, gain.metric) == (side, name)]
                for gain in found:
                    _draw(axes, gain)
                unit = METRICS[name].unit
                axes.set_title(f"gain in {name}{f' [{unit}]' if unit else ''}", fontsize=USUAL)
                axes.tick_params(labelsize=SMALL)
                axes.set_xlabel("test images, by their gain", fontsize=SMALL)
            line[0].set_ylabel(name_lines(side, 24), fontsize=SMALL)
        figure.suptitle(f"over {name_lines(first, 80)}; above 0 is better", fontsize=USUAL)
        return figure


def _draw(axes: Axes, gain: ImageGain) -> None:
    order = np.argsort(-np.array(gain.gains), kind="stable")
    values = np.array(gain.gains)[order]
    axes.bar(range(len(values)), values, width=1.0, color=[GAINING if value > 0 else LOSING for value in values])
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.axhline(gain.mean, color="black", linestyle="--", linewidth=1)
    if gain.interval is not None:
        axes.axhspan(*gain.interval, color="black", alpha=0.12, linewidth=0)
    axes.set_xticks([])
    axes.margins(x=0.02, y=0.18)
    for place, value in enumerate(values):
        if (place < NAMED and value > 0) or (place >= len(values) - NAMED and value < 0):
            axes.annotate(
                str(gain.images[order[place]]), (place, value), xytext=(0, 2 if value > 0 else -2),
                textcoords="offset points", ha="center", va="bottom" if value > 0 else "top", fontsize=SMALL - 2,
                rotation=90,
            )  # fmt: skip
