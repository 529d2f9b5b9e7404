"""A figure for each label setting: differences to the baseline by seed, their means and intervals, per measure."""

import hashlib
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.findings.comparisons import MEASURES, Comparison, Measure, Setting
from benchmarks.findings.page import figure_name
from rdc_sweeps.files import write_atomically
from rdc_sweeps.metrics.metric import METRICS

SOURCE = "Source"
"""Key in a PNG file of the digest of the differences that it shows."""

COLOURS = {"better": "#23854f", "worse": "#c0392b", "cannot tell": "#3b6fb6", "identical": "#8c8c8c", None: "#8c8c8c"}
"""By verdict."""


def draw_figures(settings: list[Setting], folder: Path) -> list[Path]:
    """Write the figures of all settings in which anything is compared; remove all others."""
    written = []
    for setting in settings:
        shown = [one for one in setting.comparisons if one.differences]
        if shown:
            path = folder / figure_name(setting)
            _save(_draw(setting, shown), path, digest(setting))
            written.append(path)
    for path in folder.glob("*.png"):
        if path not in written:
            path.unlink()
    return written


def _save(figure: Figure, path: Path, source: str) -> None:
    metadata = {SOURCE: source, "Software": None}
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=110, metadata=metadata))


def digest(setting: Setting) -> str:
    """Identifies the differences that a figure shows, by what does not depend on the CPU."""
    shown = [
        (
            one.row.method,
            one.other.method,
            one.seeds,
            [(measure, found.values) for measure, found in one.differences.items()],
        )
        for one in setting.comparisons
    ]
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def _draw(setting: Setting, shown: list[Comparison]) -> Figure:
    figure = Figure(figsize=(2.9 * len(MEASURES) + 0.8, 0.5 * len(shown) + 1.5), layout="constrained")
    FigureCanvasAgg(figure)
    plots = figure.subplots(1, len(MEASURES), sharey=True)
    for plot, measure in zip(plots, MEASURES, strict=True):
        _panel(plot, measure, shown)
    plots[0].set_yticks(range(len(shown)), [f"{one.row.method} ({len(one.seeds)})" for one in shown])
    plots[0].set_ylim(len(shown) - 0.4, -0.6)
    data = setting.table.data[0].partition(" ")[0]
    figure.suptitle(
        f"{data}, profile {setting.table.profile}, {setting.label_setting}: difference to "
        f"{shown[0].other.method} by seed (in brackets: seeds), mean and 95 % interval",
        fontsize=10,
    )
    return figure


def _panel(plot: Axes, measure: Measure, shown: list[Comparison]) -> None:
    plot.axvline(0, color="black", linewidth=0.8)
    for line, one in enumerate(shown):
        found = one.differences[measure]
        colour = COLOURS[found.verdict]
        plot.plot(
            found.values, [line] * len(found.values), "o", color=colour, alpha=0.35, markersize=5, markeredgewidth=0
        )
        if found.interval is not None:
            plot.plot(found.interval, [line, line], "-", color=colour, linewidth=1.8)
            plot.plot([found.mean], [line], "|", color=colour, markersize=13, markeredgewidth=2.2)
    widest = max(abs(edge) for one in shown for edge in _edges(one, measure)) * 1.1 or 1.0
    higher = measure == "delta_m" or METRICS[measure].higher_is_better
    plot.set_xlim((-widest, widest) if higher else (widest, -widest))
    plot.set_xlabel(f"{'Δm, %' if measure == 'delta_m' else measure}; better →", fontsize=9)
    plot.tick_params(labelsize=8)
    plot.grid(alpha=0.25, axis="x")


def _edges(one: Comparison, measure: Measure) -> tuple[float, ...]:
    found = one.differences[measure]
    return (*found.values, *(found.interval or ()))
