"""The report of a study as one self-contained HTML file: it needs no network and no other files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rdc_sweeps.files import write_atomically
from rdc_sweeps.reporting.lines import missing_lines
from rdc_sweeps.reporting.pages import Frame, page_templates
from rdc_sweeps.reporting.report import Report, Row
from rdc_sweeps.tuning.figures import ANCHOR, WIDTH, svg_text
from rdc_sweeps.tuning.study_report import StudyReport
from rdc_sweeps.tuning.summary import TrialSummary
from rdc_sweeps.tuning.texts import (
    caveat,
    is_alignment,
    measured_on,
    objective_text,
    objective_title,
    range_text,
    short_titles,
    value_text,
)

TEMPLATE = "study.html.j2"

CAPTIONS = {
    "history": "Trials in order. Pruned trials have no final value; they are drawn just outside the range of others.",
    "intermediate": "The objective after each epoch. Pruning acts on these values.",
    "slices": "Each trial by one field; the other fields vary too. Pruned trials are drawn at the edge.",
    "contour": "Linear interpolation between complete trials, over two of the fields; the other fields vary too.",
    "importances": "How well each field separates good trials from all trials (PED-ANOVA).",
}


def write_html(report: StudyReport, figures: Mapping[str, Figure], path: Path) -> None:
    """Write the report with its figures (see `figures.draw_figures`).

    Raises:
        UsageError: A package is missing.
    """
    text = render_html(report, figures)
    write_atomically(path, lambda file: file.write(text.encode()))


def render_html(report: StudyReport, figures: Mapping[str, Figure], frame: Frame | None = None) -> str:
    """The report as text; all texts from files are escaped.

    Args:
        report: The study.
        figures: See `figures.draw_figures`.
        frame: If it is one of the pages of a folder; None for a file that needs no other.

    Raises:
        UsageError: A package is missing.
    """
    environment = page_templates(Path(__file__).parent / "templates")
    environment.filters["value_text"] = value_text
    summary, spec = report.summary, report.tuned.spec
    return environment.get_template(TEMPLATE).render(
        title=f"{summary.name}: {spec.title}",
        frame=frame,
        report=report,
        summary=summary,
        spec=spec,
        facts=_facts(report),
        objective=objective_title(summary.objective),
        titles=short_titles(list(spec.space)),
        metrics=[objective_title(name) for name in report.metrics],
        caveat=caveat(summary.objective),
        by_alignment=is_alignment(summary.objective),
        special=[
            (name, one, objective_text(one.value, summary.objective), _metrics(report, one))
            for name, one in report.compared
        ],
        space=[
            (path, range_text(drawn), value_text(report.tuned.own_values[path])) for path, drawn in spec.space.items()
        ],
        trials=[_trial(report, trial) for trial in _ranked(report)],
        reasons=any(trial.reason for trial in summary.trials),
        test=_test_table(report.confirmation) if report.confirmation and _any_done(report.confirmation) else None,
        figures=[
            (name, svg_text(name, figure, summary), CAPTIONS[name], figure.get_figwidth() > WIDTH)
            for name, figure in figures.items()
        ],
        anchor=ANCHOR,
    )


def _facts(report: StudyReport) -> list[tuple[str, str]]:
    summary, tuned = report.summary, report.tuned
    spec, dataset = tuned.spec, tuned.run.dataset
    images = "synthetic" if dataset.synthetic else "real"
    epochs = tuned.run.length.epochs
    counts = ", ".join(
        f"{count} {phase}"
        for phase in ("complete", "pruned", "failed", "running", "interrupted")
        if (count := summary.count(phase))
    )
    return [
        ("row", f"{summary.table}/{summary.row} under profile {summary.profile}"),
        ("objective", objective_title(summary.objective)),
        ("trials", f"{summary.finished} finished of {summary.asked} asked: {counts or 'none yet'}"),
        ("a trial", f"{epochs} epochs with seed {', '.join(map(str, summary.seeds))}"),
        ("epochs", f"{summary.epochs_spent} trained, {summary.epochs_saved} saved by pruning"),
        (
            "data of the trials",
            f"{dataset.name} ({images} images), {dataset.size[0]}×{dataset.size[1]}, {_training_images(report)} "
            f"training images, measured on {measured_on(spec.objective, tuned.run)}",
        ),
        ("sampler, pruner", f"{spec.sampler.name}, {spec.pruner.name}"),
        ("trials are kept in", summary.storage if summary.storage != "journal" else str(report.folder / "journal.log")),
    ]


def _training_images(report: StudyReport) -> str:
    """The number of images as counted, beside that of the spec if it is another."""
    expected = report.tuned.run.dataset.training_count
    counted = report.images or (expected,)
    return " or ".join(str(count) if count == expected else f"{count} (instead of {expected})" for count in counted)


def _ranked(report: StudyReport) -> list[TrialSummary]:
    """Complete trials from best to worst, then the others by number."""
    summary = report.summary
    sign = -1 if summary.direction == "maximize" else 1

    def rank(trial: TrialSummary) -> tuple[bool, float, int]:
        complete = trial.phase == "complete"
        return not complete, sign * (trial.value or 0.0) if complete else 0.0, trial.number

    return sorted(summary.trials, key=rank)


def _trial(report: StudyReport, trial: TrialSummary) -> dict[str, Any]:
    value = trial.value
    if trial.phase in {"running", "interrupted"} and trial.curve:
        value = trial.curve[max(trial.curve)]
    return {
        "number": trial.number,
        "phase": trial.phase,
        "value": objective_text(value, report.summary.objective),
        "metrics": _metrics(report, trial),
        "fields": [value_text(trial.values[path]) if path in trial.values else "" for path in report.tuned.spec.space],
        "epochs": trial.epochs,
        "runs": ", ".join(trial.runs.values()),
        "reason": trial.reason or "",
        "best": trial is report.summary.best,
        "default": trial is report.summary.default,
    }


def _metrics(report: StudyReport, trial: TrialSummary) -> list[str]:
    found = report.validation.get(trial.number, {})
    return [objective_text(found.get(name), name) for name in report.metrics]


def _any_done(confirmation: Report) -> bool:
    return any(found.state == "done" for row in confirmation.rows for found in row.outcomes)


def _test_table(confirmation: Report) -> dict[str, Any]:
    return {
        "seeds": confirmation.seeds,
        "measures": confirmation.measures,
        "rows": [_test_row(confirmation, row) for row in confirmation.rows],
        "missing": missing_lines(confirmation),
        "data": confirmation.data,
        "notes": confirmation.notes,
        "selection": confirmation.selection,
    }


def _test_row(confirmation: Report, row: Row) -> dict[str, Any]:
    cells = []
    for measure in confirmation.measures:
        cell = row.cells[measure.key]
        cells.append(
            {
                "text": cell.text,
                "gain": _percent(cell.improvement),
                "published": cell.published or "",
                "published_gain": _percent(cell.published_improvement),
            }
        )
    return {
        "id": row.id,
        "method": row.method,
        "cells": cells,
        "delta_m": "" if row.delta_m is None else f"{row.delta_m:+.2f} %",
        "published": any(cell["published"] for cell in cells),
    }


def _percent(gain: float | None) -> str:
    return "" if gain is None else f"{gain:+.1f} %"
