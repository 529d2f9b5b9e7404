"""The figures of a study: PNG files in its folder, and SVG in its report, where each point leads to its trial."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rdc_sweeps.files import write_atomically
from rdc_sweeps.specs.ranges import Range
from rdc_sweeps.tuning.plot_data import (
    COLOURS,
    FieldAxis,
    best_so_far,
    field_axes,
    pruned_places,
    pruned_title,
    step_title,
    surface,
    surface_fields,
    trials_in,
)
from rdc_sweeps.tuning.summary import StudySummary, TrialSummary
from rdc_sweeps.tuning.texts import objective_title, value_text

DOTS_PER_INCH = 150
WIDTH, HEIGHT = 7.2, 4.2
"""Inches."""

MAX_CHOICE_CHARACTERS = 14
"""Characters of all choices together that fit side by side below one slice."""

ANCHOR = "trial-"
"""With a trial's number: the id of its row in the HTML report."""

DrawFigure = Callable[[StudySummary, Sequence[FieldAxis]], Figure | None]


def draw_figures(summary: StudySummary, space: Mapping[str, Range]) -> dict[str, Figure]:
    """Draw every figure for which there are enough trials.

    Returns:
        Figures by name: `history`, `intermediate`, `slices`, `contour`, `importances`, as far as they can be drawn.
    """
    axes = field_axes(space)
    # A field's value may contain dollar signs, which are not mathematics.
    with matplotlib.rc_context({"text.parse_math": False}):
        drawn = {name: draw(summary, axes) for name, draw in DRAW.items()}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def write_figures(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write figures as PNG files; remove the file of a figure that can no longer be drawn."""
    written = []
    for name in DRAW:
        path = folder / f"{name}.png"
        if name not in figures:
            path.unlink(missing_ok=True)
            continue
        figure = figures[name]
        FigureCanvasAgg(figure)
        write_atomically(path, lambda file, figure=figure: figure.savefig(file, format="png", dpi=DOTS_PER_INCH))  # type: ignore[misc]
        written.append(path)
    return written


def svg_text(name: str, figure: Figure, summary: StudySummary) -> str:
    """A figure as an SVG element for an HTML page; a point shows its trial, and is a link to the trial's row.

    Args:
        name: Makes the ids in the element differ from those of other figures in the page.
        figure: What `draw_figures` returned.
        summary: The trials of the figure.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    trials = {trial.number: trial for trial in summary.trials}
    svg = re.sub(
        rf'<a xlink:href="#{ANCHOR}(\d+)"[^>]*>',
        lambda link: f'<a href="#{ANCHOR}{link[1]}"><title>{escape(_description(trials[int(link[1])]))}</title>',
        svg,
    )
    return svg[svg.index("<svg") :]


def _description(trial: TrialSummary) -> str:
    """A trial's number, state, value and configuration, one to a line."""
    value = "" if trial.value is None else f": {trial.value:.4g}"
    lines = [f"trial {trial.number}, {trial.phase}{value}"]
    return "\n".join([*lines, *(f"{path} = {value_text(field)}" for path, field in trial.values.items())])


def _history(summary: StudySummary, axes: Sequence[FieldAxis]) -> Figure | None:
    complete, pruned, failed = trials_in(summary, "complete"), trials_in(summary, "pruned"), summary.count("failed")
    if not (complete or pruned):
        return None
    figure, plot = _figure()
    _points(plot, pruned, _numbers(pruned), pruned_places(summary), "pruned", pruned_title(summary), marker="v")
    _points(plot, complete, _numbers(complete), _values(complete), "complete", "complete")
    if failed:
        numbers = [trial.number for trial in summary.trials if trial.phase == "failed"]
        # At the lower edge: they have no value.
        plot.plot(
            numbers, [0.02] * failed, "x", color=COLOURS["failed"], transform=plot.get_xaxis_transform(), label="failed"
        )
    if complete:
        plot.step(*best_so_far(summary), where="post", color=COLOURS["best"], label="best so far")
    if summary.default is not None and summary.default.value is not None:
        plot.axhline(summary.default.value, color=COLOURS["default"], linestyle="--", label="the untuned row")
    plot.set_xlim(-0.5, max(trial.number for trial in summary.trials) + 0.5)
    plot.set_xlabel("trial")
    plot.set_ylabel(objective_title(summary.objective))
    plot.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend(figure, plot)
    return figure


def _intermediate(summary: StudySummary, axes: Sequence[FieldAxis]) -> Figure | None:
    trials = [trial for trial in summary.trials if trial.curve and trial is not summary.best]
    if not trials and (summary.best is None or not summary.best.curve):
        return None
    figure, plot = _figure()

    def curve(trial: TrialSummary, style: str, **others: Any) -> list[Line2D]:
        return plot.plot(list(trial.curve), list(trial.curve.values()), style, url=_link(trial), **others)

    for trial in sorted(trials, key=lambda trial: trial.phase != "pruned"):
        if trial.phase == "pruned":
            curve(trial, "-", color=COLOURS["pruned"], alpha=0.5, linewidth=0.8)
            last = max(trial.curve)
            plot.plot([last], [trial.curve[last]], "x", color=COLOURS["pruned"], markersize=4, url=_link(trial))
        else:
            colour = COLOURS.get(trial.phase, COLOURS["running"])
            curve(trial, ".-", color=colour, alpha=0.7, linewidth=0.9, markersize=4)
    labels = [(phase, "x-" if phase == "pruned" else ".-") for phase in ("pruned", "complete", "failed", "running")]
    handles = [
        Line2D([], [], color=COLOURS[phase], marker=style[0], markersize=4, linewidth=0.9, label=phase)
        for phase, style in labels
        if any(trial.phase == phase for trial in trials)
    ]
    for special, name, text in ((summary.best, "best", "best"), (summary.default, "default", "the untuned row")):
        # Dashes on a line: both are seen if they are one trial.
        if special is not None and special.curve:
            style = "--" if name == "default" else "-"
            handles += curve(special, style, color=COLOURS[name], linewidth=2, label=text)
    plot.set_xlabel(step_title(summary))
    plot.set_ylabel(objective_title(summary.objective))
    plot.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend(figure, plot, handles)
    return figure


def _slices(summary: StudySummary, axes: Sequence[FieldAxis]) -> Figure | None:
    complete, pruned = trials_in(summary, "complete"), trials_in(summary, "pruned")
    if not (complete or pruned):
        return None
    best = [summary.best] if summary.best else []
    columns = min(len(axes), 3)
    rows = -(-len(axes) // columns)
    figure = Figure(figsize=(max(0.65 * WIDTH, 2.9 * columns), 3.1 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for plot in grid.flat[len(axes) :]:
        plot.set_visible(False)
    for index, (plot, axis) in enumerate(zip(grid.flat, axes, strict=False)):
        for trials, values, colour, marker, text in (
            (pruned, pruned_places(summary), "pruned", "v", pruned_title(summary)),
            (complete, _values(complete), "complete", "o", "complete"),
            (best, _values(best), "best", "*", "best"),
        ):
            _points(plot, trials, _places(trials, axis), values, colour, text, marker=marker, alpha=0.8)
        _scale(plot, axis, "x")
        plot.set_xlabel(axis.title)
        plot.grid(alpha=0.25)
        if index % columns == 0:
            plot.set_ylabel(objective_title(summary.objective))
    _legend(figure, grid.flat[0])
    return figure


def _contour(summary: StudySummary, axes: Sequence[FieldAxis]) -> Figure | None:
    chosen = surface_fields(summary, axes)
    complete, pruned = trials_in(summary, "complete"), trials_in(summary, "pruned")
    if chosen is None or not complete:
        return None
    x, y = chosen
    figure, plot = _figure()
    values = _values(complete)
    low, high = min(values), max(values)
    between = surface(complete, x, y)
    if between is not None:
        levels = np.linspace(low, high, 13)
        plot.contourf(between.x, between.y, between.z, levels=levels, cmap="viridis", alpha=0.75, extend="both")
    _points(plot, pruned, _places(pruned, x), _places(pruned, y), "pruned", "pruned", marker="x")
    points = plot.scatter(
        _places(complete, x), _places(complete, y), c=values, cmap="viridis", vmin=low, vmax=high, s=38,
        edgecolors="black", linewidths=0.7, label="complete", zorder=3, urls=[_link(trial) for trial in complete],
    )  # fmt: skip
    for trial, name, marker, text in (
        (summary.default, "default", "D", "the untuned row"),
        (summary.best, "best", "*", "best"),
    ):
        if trial is not None:
            plot.plot(
                _places([trial], x), _places([trial], y), marker, color="none", markeredgecolor=COLOURS[name],
                markeredgewidth=1.8, markersize=17 if marker == "*" else 12, label=text, zorder=4, url=_link(trial),
            )  # fmt: skip
    if low < high:
        bar = figure.colorbar(points, ax=plot)
        bar.set_label(objective_title(summary.objective))
    for axis, which in ((x, "x"), (y, "y")):
        _scale(plot, axis, which)
    plot.set_xlabel(x.title)
    plot.set_ylabel(y.title)
    _legend(figure, plot)
    return figure


def _importances(summary: StudySummary, axes: Sequence[FieldAxis]) -> Figure | None:
    if not summary.importances:
        return None
    titles = {axis.path: axis.title for axis in axes}
    shares = dict(reversed(list(summary.importances.items())))
    figure = Figure(figsize=(WIDTH, 1.0 + 0.42 * len(shares)), layout="constrained")
    plot = figure.subplots()
    bars = plot.barh([titles[path] for path in shares], list(shares.values()), color=COLOURS["complete"], height=0.6)
    plot.bar_label(bars, fmt="%.2f", padding=4)
    plot.set_xlim(0, 1.1)
    plot.set_xlabel(f"importance (PED-ANOVA over {summary.count('complete')} complete trials)")
    plot.spines[["top", "right"]].set_visible(False)
    return figure


DRAW: dict[str, DrawFigure] = {
    "history": _history,
    "intermediate": _intermediate,
    "slices": _slices,
    "contour": _contour,
    "importances": _importances,
}


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    plot = figure.subplots()
    plot.grid(alpha=0.25)
    return figure, plot


def _points(
    plot: Axes,
    trials: Sequence[TrialSummary],
    x: Sequence[float],
    y: Sequence[float],
    colour: str,
    label: str,
    *,
    marker: str = "o",
    alpha: float | None = None,
) -> None:
    """Draw a point per trial, if there are any."""
    if trials:
        plot.scatter(
            x, y, s=90 if marker == "*" else 26, marker=marker, color=COLOURS[colour], alpha=alpha, label=label,
            linewidths=1.2 if marker == "x" else 0, urls=[_link(trial) for trial in trials],
        )  # fmt: skip


def _legend(figure: Figure, plot: Axes, handles: Sequence[Line2D] | None = None) -> None:
    """Put the legend above the axes, where it hides no trial."""
    found = handles if handles is not None else plot.get_legend_handles_labels()[0]
    figure.legend(handles=found, loc="outside upper center", ncols=len(found), frameon=False, fontsize="small")


def _link(trial: TrialSummary) -> str:
    return f"#{ANCHOR}{trial.number}"


def _numbers(trials: Sequence[TrialSummary]) -> list[int]:
    return [trial.number for trial in trials]


def _values(trials: Sequence[TrialSummary]) -> list[float]:
    return [trial.value or 0.0 for trial in trials]


def _places(trials: Sequence[TrialSummary], axis: FieldAxis) -> list[float]:
    return [axis.position(trial.values[axis.path]) for trial in trials]


def _scale(plot: Axes, axis: FieldAxis, which: str) -> None:
    """Show the whole range of the field, on the field's own scale."""
    if axis.choices is not None:
        places = range(len(axis.choices))
        crowded = sum(map(len, axis.choices)) > MAX_CHOICE_CHARACTERS
        plot.set_xticks(places, axis.choices, rotation=35 if crowded else 0, ha="right" if crowded else "center")
        plot.set_xlim(-0.5, len(axis.choices) - 0.5)
        return
    if axis.log:
        plot.set(**{f"{which}scale": "log"})
        edge = (axis.high / axis.low) ** 0.03
        limits = (axis.low / edge, axis.high * edge)
    else:
        margin = 0.03 * (axis.high - axis.low)
        limits = (axis.low - margin, axis.high + margin)
    plot.set(**{f"{which}lim": limits})
