"""A study's plots as PNG files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rdc_sweeps.files import write_atomically
from rdc_sweeps.specs.ranges import Range
from rdc_sweeps.tuning.axes import (
    COLOURS,
    FieldAxis,
    best_so_far,
    field_axes,
    pruned_places,
    pruned_title,
    shown,
    step_title,
    surface,
    surface_fields,
)
from rdc_sweeps.tuning.summary import StudySummary, TrialSummary
from rdc_sweeps.tuning.texts import objective_title

DOTS_PER_INCH = 150
WIDTH, HEIGHT = 7.2, 4.2
"""Inches."""

CHOICE_ROOM = 14
"""Characters of all choices together that fit side by side under a slice."""

Draw = Callable[[StudySummary, Sequence[FieldAxis]], Figure | None]


def draw_plots(summary: StudySummary, space: Mapping[str, Range], folder: Path) -> list[Path]:
    """Draw every plot that the trials so far allow; one that is no longer possible is removed.

    Returns:
        `history.png`, `intermediate.png`, `slices.png`, `contour.png`, `importances.png`, as far as drawn.
    """
    axes = field_axes(space)
    drawn = []
    for name, draw in PLOTS.items():
        path = folder / f"{name}.png"
        figure = draw(summary, axes)
        if figure is None:
            path.unlink(missing_ok=True)
            continue
        FigureCanvasAgg(figure)
        write_atomically(path, lambda file, figure=figure: figure.savefig(file, format="png", dpi=DOTS_PER_INCH))  # type: ignore[misc]
        drawn.append(path)
    return drawn


def _history(summary: StudySummary, axes: Sequence[FieldAxis]) -> Figure | None:
    complete, pruned, failed = shown(summary, "complete"), shown(summary, "pruned"), summary.count("failed")
    if not (complete or pruned):
        return None
    figure, plot = _figure()
    if pruned:
        numbers = [trial.number for trial in pruned]
        plot.scatter(
            numbers, pruned_places(summary), marker="v", s=26, color=COLOURS["pruned"], label=pruned_title(summary)
        )
    if complete:
        plot.scatter(*_points(complete), s=26, color=COLOURS["complete"], label="complete")
    if failed:
        numbers = [trial.number for trial in summary.trials if trial.phase == "failed"]
        # At the lower edge: they have no value.
        plot.plot(
            numbers, [0.02] * failed, "x", color=COLOURS["failed"], transform=plot.get_xaxis_transform(), label="failed"
        )
    if complete:
        plot.step(*best_so_far(summary), where="post", color=COLOURS["best"], label="best so far")
    _default_line(plot, summary)
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
    for trial in sorted(trials, key=lambda trial: trial.phase != "pruned"):
        steps, values = list(trial.curve), list(trial.curve.values())
        if trial.phase == "pruned":
            plot.plot(steps, values, color=COLOURS["pruned"], alpha=0.5, linewidth=0.8)
            plot.plot(steps[-1:], values[-1:], "x", color=COLOURS["pruned"], markersize=4)
        else:
            colour = COLOURS.get(trial.phase, COLOURS["running"])
            plot.plot(steps, values, ".-", color=colour, alpha=0.7, linewidth=0.9, markersize=4)
    labels = [(phase, "x-" if phase == "pruned" else ".-") for phase in ("pruned", "complete", "failed", "running")]
    handles = [
        Line2D([], [], color=COLOURS[phase], marker=style[0], markersize=4, linewidth=0.9, label=phase)
        for phase, style in labels
        if any(trial.phase == phase for trial in trials)
    ]
    for special, name, text in ((summary.default, "default", "the row as it is"), (summary.best, "best", "best")):
        if special is not None and special.curve:
            places, style = list(special.curve), "--" if name == "default" else "-"
            handles += plot.plot(
                places, list(special.curve.values()), style, color=COLOURS[name], linewidth=2, label=text
            )
    plot.set_xlabel(step_title(summary))
    plot.set_ylabel(objective_title(summary.objective))
    plot.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend(figure, plot, handles)
    return figure


def _slices(summary: StudySummary, axes: Sequence[FieldAxis]) -> Figure | None:
    complete, pruned = shown(summary, "complete"), shown(summary, "pruned")
    if not (complete or pruned):
        return None
    columns = min(len(axes), 3)
    rows = -(-len(axes) // columns)
    figure = Figure(figsize=(max(0.65 * WIDTH, 2.9 * columns), 3.1 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    handles: list[Line2D] = []
    for index, plot in enumerate(grid.flat):
        if index >= len(axes):
            plot.set_visible(False)
            continue
        axis = axes[index]
        handles = []
        best = [summary.best] if summary.best else []
        for trials, values, colour, marker, text in (
            (pruned, pruned_places(summary), "pruned", "v", pruned_title(summary)),
            (complete, _points(complete)[1], "complete", "o", "complete"),
            (best, _points(best)[1], "best", "*", "best"),
        ):
            if trials:
                places = [axis.position(trial.values[axis.path]) for trial in trials]
                size = 9 if marker == "*" else 4
                handles += plot.plot(
                    places, values, marker, color=COLOURS[colour], markersize=size, alpha=0.8, label=text
                )
        _scale(plot, axis, "x")
        plot.set_xlabel(axis.title)
        plot.grid(alpha=0.25)
        if index % columns == 0:
            plot.set_ylabel(objective_title(summary.objective))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize="small")
    return figure


def _contour(summary: StudySummary, axes: Sequence[FieldAxis]) -> Figure | None:
    chosen = surface_fields(summary, axes)
    complete, pruned = shown(summary, "complete"), shown(summary, "pruned")
    if chosen is None or not complete:
        return None
    x, y = chosen
    figure, plot = _figure()
    values = [trial.value or 0.0 for trial in complete]
    low, high = min(values), max(values)
    between = surface(complete, x, y)
    if between is not None:
        levels = np.linspace(low, high, 13)
        plot.contourf(between.x, between.y, between.z, levels=levels, cmap="viridis", alpha=0.75, extend="both")
    if pruned:
        plot.plot(*_places(pruned, x, y), "x", color=COLOURS["pruned"], markersize=5, label="pruned")
    points = plot.scatter(
        *_places(complete, x, y), c=values, cmap="viridis", vmin=low, vmax=high, s=38, edgecolors="black",
        linewidths=0.7, label="complete", zorder=3,
    )  # fmt: skip
    for trial, name, marker, text in (
        (summary.default, "default", "D", "the row as it is"),
        (summary.best, "best", "*", "best"),
    ):
        if trial is not None:
            plot.plot(
                *_places([trial], x, y), marker, color="none", markeredgecolor=COLOURS[name], markeredgewidth=1.8,
                markersize=17 if marker == "*" else 12, label=text, zorder=4,
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


PLOTS: dict[str, Draw] = {
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


def _legend(figure: Figure, plot: Axes, handles: Sequence[Line2D] | None = None) -> None:
    """Above the plot, where it hides no trial."""
    found = handles if handles is not None else plot.get_legend_handles_labels()[0]
    figure.legend(handles=found, loc="outside upper center", ncols=len(found), frameon=False, fontsize="small")


def _default_line(plot: Axes, summary: StudySummary) -> None:
    if summary.default is not None and summary.default.value is not None:
        plot.axhline(summary.default.value, color=COLOURS["default"], linestyle="--", label="the row as it is")


def _points(trials: Sequence[TrialSummary]) -> tuple[list[int], list[float]]:
    return [trial.number for trial in trials], [trial.value or 0.0 for trial in trials]


def _places(trials: Sequence[TrialSummary], x: FieldAxis, y: FieldAxis) -> tuple[list[float], list[float]]:
    return tuple([axis.position(trial.values[axis.path]) for trial in trials] for axis in (x, y))  # type: ignore[return-value]


def _scale(plot: Axes, axis: FieldAxis, which: str) -> None:
    """The whole range of the field, on its own scale."""
    if axis.choices is not None:
        places = range(len(axis.choices))
        crowded = sum(map(len, axis.choices)) > CHOICE_ROOM
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
