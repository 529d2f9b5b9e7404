"""The figure of the IoU of each class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from rdc_sweeps.reporting.figures.style import COLOURS, SMALL, drawing, name_lines

HATCHES = ("", "///", "...", "xx")
"""More sides than colours differ by their hatching."""


def draw_classes(found: Mapping[str, Sequence[NDArray[np.float64]]], classes: Sequence[str]) -> Figure:
    """IoU of each class on the test images: bars at the mean over the seeds, with a sample standard deviation.

    Args:
        found: By side, one array (C,) in percent per seed, NaN for a class that occurs nowhere.
        classes: Names of the classes.
    """
    with drawing():
        width = 0.8 / max(1, len(found))
        inches = max(6.0, len(classes) * (0.3 + 0.16 * len(found)))
        figure = Figure(figsize=(min(inches, 24.0), 3.2 + 0.2 * -(-len(found) // 4)), layout="constrained")
        axes = figure.subplots()
        handles = []
        for number, (name, seeds) in enumerate(found.items()):
            table = np.array(seeds)
            known = np.isfinite(table).all(axis=0)
            places = np.arange(len(classes))[known] + (number - (len(found) - 1) / 2) * width
            deviation = table[:, known].std(axis=0, ddof=1) if len(table) > 1 else None
            look: dict[str, Any] = {
                "color": COLOURS[number % len(COLOURS)],
                "hatch": HATCHES[number // len(COLOURS) % len(HATCHES)],
            }
            axes.bar(places, table[:, known].mean(axis=0), width, yerr=deviation, capsize=2, ecolor="0.3", **look)
            seeds_text = f" ({len(table)} seeds)" if len(table) > 1 else ""
            handles.append(Patch(label=f"{name_lines(name, 40)}{seeds_text}", **look))
        axes.set_xticks(
            range(len(classes)),
            [name_lines(name, 14) for name in classes],
            fontsize=SMALL,
            rotation=40,
            ha="right",
            rotation_mode="anchor",
        )
        axes.set_ylabel("IoU, test [%]", fontsize=SMALL + 1)
        axes.tick_params(axis="y", labelsize=SMALL)
        axes.grid(axis="y", alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlim(-0.6, len(classes) - 0.4)
        figure.legend(
            handles=handles, loc="outside lower center", ncols=min(4, len(found)), fontsize=SMALL, frameon=False
        )
        return figure
