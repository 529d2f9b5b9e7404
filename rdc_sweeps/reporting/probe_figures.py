"""The figure of a probe: the term with each substitute and on the way to the truth, and where its gradient points."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from rdc_sweeps.probing.record import FRACTIONS, SUBSTITUTES, Estimate, Probe
from rdc_sweeps.reporting.figures.style import COLOURS, drawing
from rdc_sweeps.reporting.probe_tables import SHOWN
from rdc_sweeps.reporting.probes import ProbedRun

SIZE = (13.0, 3.8)
"""Inches."""


def draw(runs: Sequence[ProbedRun], term: str) -> Figure:
    """The probes of one term in several runs, side by side."""
    with drawing():
        return _draw(runs, term)


def _draw(runs: Sequence[ProbedRun], term: str) -> Figure:
    probes = [(run, probe) for run in runs if (probe := run.of_term(term)) is not None]
    figure = Figure(figsize=SIZE, layout="constrained")
    shown, path, *cosines = figure.subplots(1, 4)
    width = 0.8 / max(len(probes), 1)
    tasks = list(dict.fromkeys(task for _, probe in probes for task in probe.prediction))
    names: list[Patch] = []
    for number, (run, probe) in enumerate(probes):
        colour, shift = COLOURS[number % len(COLOURS)], (number - (len(probes) - 1) / 2) * width
        _draw_substitutes(shown, probe, colour, shift, width)
        _draw_path(path, probe, colour)
        for place, task in enumerate(tasks):
            samples = (
                Estimate.of([*probe.prediction.get(task, {}).values()]),
                Estimate.of(probe.parameters.get(task, [])),
            )
            for axes, sample in zip(cosines, samples, strict=True):
                _bar(axes, place + shift, sample, colour, width)
        names.append(Patch(color=colour, label=f"{run.title}, epoch {run.epoch}"))
    compares = any(probe.accuracy for _, probe in probes)
    shown.set_xticks(range(len(SUBSTITUTES)), [SHOWN[one].replace(" ", "\n") for one in SUBSTITUTES], fontsize=7)
    shown.set_title("accuracy, by what is shown" if compares else "value, by what is shown", fontsize=10)
    path.set_title("value on the way to the truth, less own", fontsize=10)
    path.set_xticks(FRACTIONS, ["own", *(f"{fraction:g}" for fraction in FRACTIONS[1:-1]), "truth"], fontsize=8)
    for axes, respect in zip(cosines, ("predictions", "parameters"), strict=True):
        axes.set_title(f"cosine with the truth, {respect}", fontsize=10)
        axes.set_xticks(range(len(tasks)), tasks, fontsize=8)
    for axes in (path, *cosines):
        axes.axhline(0, color="0.6", linewidth=0.8)
    for axes in (shown, path, *cosines):
        axes.tick_params(axis="y", labelsize=8)
    figure.legend(handles=names, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _draw_substitutes(axes: Axes, probe: Probe, colour: str, shift: float, width: float) -> None:
    samples = probe.accuracy or probe.values
    for place, substitute in enumerate(SUBSTITUTES):
        _bar(axes, place + shift, Estimate.of(samples[substitute]), colour, width)
    chance = Estimate.of([region.chance for region in probe.regions])
    if chance is not None:
        axes.axhline(chance.mean, color=colour, linewidth=1, linestyle=":")


def _draw_path(axes: Axes, probe: Probe, colour: str) -> None:
    own = probe.path[0]
    less = [Estimate.of([value - before for value, before in zip(at, own, strict=True)]) for at in probe.path]
    known = [(fraction, one) for fraction, one in zip(FRACTIONS, less, strict=True) if one is not None]
    axes.errorbar(
        [fraction for fraction, _ in known],
        [one.mean for _, one in known],
        [one.error or 0.0 for _, one in known],
        color=colour,
        marker="o",
        markersize=4,
        capsize=2,
    )


def _bar(axes: Axes, place: float, estimate: Estimate | None, colour: str, width: float) -> None:
    if estimate is not None:
        axes.bar(place, estimate.mean, width, color=colour, yerr=estimate.error or 0.0, capsize=2, ecolor="0.3")
