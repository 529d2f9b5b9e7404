"""A study's plots as interactive Plotly figures, described as plain values.

Plotly reads markup in texts, so that every text from outside is escaped here.
"""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

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
from rdc_sweeps.tuning.texts import objective_title, value_text

Figure = dict[str, Any]


FEW_STEPS = 20
"""So many epochs have a tick each."""


def build_figures(summary: StudySummary, space: Mapping[str, Range]) -> dict[str, Figure]:
    """The figures that the trials so far allow: `data` and `layout` by name; slices by field."""
    axes = field_axes(space)
    drawn: dict[str, Figure | None] = {
        "history": _history(summary),
        "intermediate": _intermediate(summary),
        "contour": _contour(summary, axes),
        **{f"slice-{index}": _slice(summary, axis) for index, axis in enumerate(axes)},
        "importances": _importances(summary, axes),
    }
    return {name: figure for name, figure in drawn.items() if figure is not None}


def as_script(figures: Mapping[str, Figure]) -> str:
    """The figures as JSON that may stand inside a script element."""
    text = json.dumps(figures, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _history(summary: StudySummary) -> Figure | None:
    complete, pruned = shown(summary, "complete"), shown(summary, "pruned")
    if not (complete or pruned):
        return None
    numbers, best = best_so_far(summary)
    edge = {"y": pruned_places(summary)}
    ended = [trial.number for trial in pruned]
    data = [
        *([_points(pruned, ended, "pruned", "triangle-down", pruned_title(summary)) | edge] if pruned else []),
        *(
            [_points(complete, [trial.number for trial in complete], "complete", "circle", "complete")]
            if complete
            else []
        ),
        _line(numbers, best, "best", "best so far") | {"line": {"shape": "hv", "color": COLOURS["best"]}},
    ]
    if summary.default is not None and numbers:
        ends = [min(trial.number for trial in summary.trials), max(trial.number for trial in summary.trials)]
        data.append(_line(ends, [summary.default.value] * 2, "default", "the row as it is", dash="dash"))
    return _figure(data, {"title": {"text": "trial"}}, {"title": {"text": _objective(summary)}})


def _intermediate(summary: StudySummary) -> Figure | None:
    curves = [trial for trial in summary.trials if trial.curve]
    if not curves:
        return None
    order = ["pruned", "failed", "interrupted", "running", "complete"]
    data, named = [], set()
    for trial in sorted(curves, key=lambda trial: (trial is summary.best, order.index(trial.phase))):
        special = "best" if trial is summary.best else "default" if trial is summary.default else None
        text = {"best": "best", "default": "the row as it is", None: trial.phase}[special]
        colour = special or (trial.phase if trial.phase in COLOURS else "running")
        line = _line(list(trial.curve), list(trial.curve.values()), colour, text)
        data.append(
            line
            | {
                "mode": "lines+markers",
                "line": {"color": COLOURS[colour], "width": 3 if special else 1},
                "marker": {"size": 4, "symbol": "x" if trial.phase == "pruned" else "circle"},
                "opacity": 0.5 if trial.phase == "pruned" else 0.9,
                "legendgroup": text,
                "showlegend": text not in named,
                "hovertext": _hover(trial),
            }
        )
        named.add(text)
    steps = max(len(trial.curve) for trial in curves)
    ticks = {"dtick": 1} if steps <= FEW_STEPS else {}
    return _figure(data, {"title": {"text": step_title(summary)}, **ticks}, {"title": {"text": _objective(summary)}})


def _slice(summary: StudySummary, axis: FieldAxis) -> Figure | None:
    data = []
    for trials, colour, symbol, text in (
        (shown(summary, "pruned"), "pruned", "triangle-down", pruned_title(summary)),
        (shown(summary, "complete"), "complete", "circle", "complete"),
        ([summary.best] if summary.best else [], "best", "star", "best"),
    ):
        places = [axis.position(trial.values[axis.path]) for trial in trials]
        if trials:
            edge = {"y": pruned_places(summary)} if colour == "pruned" else {}
            data.append(_points(trials, places, colour, symbol, text) | edge)
    figure = _figure(data, _scale(axis), {"title": {"text": _objective(summary)}})
    return figure if data else None


def _contour(summary: StudySummary, axes: Sequence[FieldAxis]) -> Figure | None:
    chosen = surface_fields(summary, axes)
    complete, pruned = shown(summary, "complete"), shown(summary, "pruned")
    if chosen is None or not complete:
        return None
    x, y = chosen
    values = [trial.value or 0.0 for trial in complete]
    data: list[dict[str, Any]] = []
    between = surface(complete, x, y)
    shades = {"zmin": min(values), "zmax": max(values), "colorscale": "Viridis"}
    if between is not None:
        cells = [[None if np.isnan(z) else float(z) for z in line] for line in between.z]
        data.append(
            {
                "type": "contour",
                "x": between.x.tolist(),
                "y": between.y.tolist(),
                "z": cells,
                **shades,
                "opacity": 0.8,
                "hoverinfo": "skip",
                "line": {"width": 0.5},
                "colorbar": {
                    "title": {"text": _objective(summary), "side": "right", "font": {"size": 12}},
                    "thickness": 14,
                },
            }
        )
    for trials, colour, symbol, text in (
        (pruned, "pruned", "x", "pruned"),
        (complete, "complete", "circle", "complete"),
        ([summary.default] if summary.default else [], "default", "diamond-open", "the row as it is"),
        ([summary.best] if summary.best else [], "best", "star", "best"),
    ):
        if trials:
            points = _points(trials, [x.position(trial.values[x.path]) for trial in trials], colour, symbol, text)
            points["marker"]["size"] = {"star": 15, "diamond-open": 15, "x": 6}.get(symbol, 9)
            data.append(points | {"y": [y.position(trial.values[y.path]) for trial in trials]})
    return _figure(data, _scale(x), _scale(y))


def _importances(summary: StudySummary, axes: Sequence[FieldAxis]) -> Figure | None:
    if not summary.importances:
        return None
    titles = {axis.path: escape(axis.title) for axis in axes}
    shares = dict(reversed(list(summary.importances.items())))
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": list(shares.values()),
        "y": [titles[path] for path in shares],
        "text": [f"{share:.2f}" for share in shares.values()],
        "textposition": "outside",
        "marker": {"color": COLOURS["complete"]},
        "hoverinfo": "skip",
    }
    text = f"importance (PED-ANOVA over {summary.count('complete')} complete trials)"
    return _figure([bars], {"title": {"text": text}, "range": [0, 1.1]}, {"automargin": True})


def _figure(data: list[dict[str, Any]], x: dict[str, Any], y: dict[str, Any]) -> Figure:
    return {
        "data": data,
        "layout": {
            "xaxis": {"automargin": True, "exponentformat": "power", **_small(x)},
            "yaxis": {"automargin": True, "exponentformat": "power", **_small(y)},
            "margin": {"l": 10, "r": 10, "t": 40, "b": 10},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "font": {"family": "system-ui, sans-serif", "size": 12},
            "plot_bgcolor": "#fafafa",
            "hovermode": "closest",
        },
    }


def _small(axis: dict[str, Any]) -> dict[str, Any]:
    """The axis with a title as small as its numbers."""
    return axis | {"title": axis["title"] | {"font": {"size": 12}}} if "title" in axis else axis


def _points(
    trials: Sequence[TrialSummary], places: Sequence[float], colour: str, symbol: str, text: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(places),
        "y": [trial.value for trial in trials],
        "name": text,
        "marker": {"color": COLOURS[colour], "symbol": symbol, "size": 14 if symbol == "star" else 7},
        "hovertext": [_hover(trial) for trial in trials],
        "hoverinfo": "text",
    }


def _line(x: Sequence[float], y: Sequence[float | None], colour: str, text: str, dash: str = "solid") -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": list(y),
        "name": text,
        "line": {"color": COLOURS[colour], "dash": dash},
        "hoverinfo": "text+y",
    }


def _scale(axis: FieldAxis) -> dict[str, Any]:
    """The whole range of the field, on its own scale."""
    title = {"title": {"text": escape(axis.title)}}
    if axis.choices is not None:
        places = list(range(len(axis.choices)))
        return title | {
            "tickvals": places,
            "ticktext": [escape(text) for text in axis.choices],
            "range": [-0.5, len(places) - 0.5],
        }
    ends = np.array([axis.low, axis.high], dtype=np.float64)
    low, high = np.log10(ends) if axis.log else ends
    margin = 0.03 * (high - low)
    limits = [float(low - margin), float(high + margin)]
    return title | ({"type": "log", "range": limits, "dtick": 1} if axis.log else {"range": limits})


def _objective(summary: StudySummary) -> str:
    return escape(objective_title(summary.objective))


def _hover(trial: TrialSummary) -> str:
    value = "" if trial.value is None else f": {trial.value:.4g}"
    lines = [f"trial {trial.number}, {trial.phase}{value}"]
    lines += [f"{path} = {value_text(drawn)}" for path, drawn in trial.values.items()]
    return "<br>".join(escape(line) for line in lines)
