"""What a dashboard shows: sections of panels over the runs of a table or a study, and a text.

Nothing here knows how W&B stores it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rdc_sweeps.metrics.metric import METRICS, metrics_of
from rdc_sweeps.monitoring.groups import table_title
from rdc_sweeps.reporting.markdown import render_markdown
from rdc_sweeps.reporting.report import Report
from rdc_sweeps.runs.paths import RunPaths
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.catalogue import Run
from rdc_sweeps.tracking.history import LoggedKeys, logged_keys
from rdc_sweeps.tracking.keys import of_selection, of_split
from rdc_sweeps.tuning.study_markdown import render_study_markdown
from rdc_sweeps.tuning.texts import is_alignment

if TYPE_CHECKING:
    from rdc_sweeps.tuning.study_report import StudyReport

SEED = "seed"
"""The field of a spec by which the runs of a row differ."""


@dataclass(frozen=True)
class Lines:
    """A plot of one logged value: a line per row, the mean over its seeds, in a band from the least to the greatest."""

    title: str
    key: str
    over_epochs: bool
    """Else over steps."""


@dataclass(frozen=True)
class Bars:
    """A bar per row for a value of the summary: the mean over its seeds, with the standard deviation."""

    title: str
    key: str


@dataclass(frozen=True)
class Pictures:
    """A prediction panel of every run."""

    title: str
    key: str


@dataclass(frozen=True)
class Coordinates:
    """A line per run through the values of some fields of its spec and of some summary values."""

    title: str
    fields: tuple[str, ...]
    keys: tuple[str, ...]


Panel = Lines | Bars | Pictures | Coordinates


@dataclass(frozen=True)
class Section:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """A workspace and a report about the same runs.

    Attributes:
        title: What both are called.
        runs: Ids of the runs that are shown; empty to show those of `group`.
        group: W&B group whose runs are shown, if their ids are not known in advance.
        rows: Number of rows or trials, each of which is a line of a plot.
        fields: Fields of specs to list beside each run.
        keys: Summary values to list beside each run.
        sections: The panels.
        text: The body of the report, in Markdown.
        done: Number of runs with a result.
        total: Number of runs.
    """

    title: str
    runs: tuple[str, ...]
    group: str | None
    rows: int
    fields: tuple[str, ...]
    keys: tuple[str, ...]
    sections: tuple[Section, ...]
    text: str
    done: int
    total: int

    @property
    def name(self) -> str:
        """A name by which a later call finds the same workspace and report, whoever calls it from wherever."""
        return hashlib.sha256(self.title.encode()).hexdigest()[:12]


def table_dashboard(runs: Sequence[Run], root: Path, report: Report) -> Dashboard:
    """The dashboard of a table.

    Args:
        runs: All of its runs under one profile.
        root: The runs folder; what its event logs have besides metrics gets panels too.
        report: The report of these runs.
    """
    tasks = tuple(dict.fromkeys(task for run in runs for task in run.spec.dataset.tasks))
    ids = tuple(dict.fromkeys(run.id for run in runs))
    chosen = tuple(of_selection(report.selection, measure.key) for measure in report.measures)
    bars = tuple(Bars(metric_title(measure.key), key) for measure, key in zip(report.measures, chosen, strict=True))
    validated = any(run.spec.dataset.validation_images for run in runs)
    missing = {one.run for one in report.missing}
    return Dashboard(
        title=table_title(runs),
        runs=ids,
        group=None,
        rows=len(report.rows),
        fields=(SEED,),
        keys=chosen,
        sections=(
            Section(f"Test images, epoch chosen by {report.selection}", bars),
            *metric_sections(tasks, validated=validated),
            *logged_sections(logged_keys(RunPaths(root, run).events for run in ids)),
        ),
        text=render_markdown(report),
        done=sum(run not in missing for run in ids),
        total=len(ids),
    )


def study_dashboard(report: "StudyReport", root: Path) -> Dashboard:
    """The dashboard of a study: its trials over the tuned fields, and the text with its choice.

    Args:
        report: The report of the study.
        root: The runs folder; what its event logs have besides metrics gets panels too.
    """
    summary, tuned = report.summary, report.tuned
    logged = logged_keys(RunPaths(root, run).events for trial in summary.trials for run in trial.runs.values())
    validated = bool(tuned.run.dataset.validation_images)
    keys = [of_split("validation" if validated else "test", name) for name in tuned.metrics]
    if is_alignment(summary.objective):
        keys += [key for key in logged.epochs if key.startswith(of_split("probe", "")) and key.endswith("/alignment")]
    fields = tuple(tuned.spec.space)
    return Dashboard(
        title=f"study {summary.name}",
        runs=(),
        group=summary.name,
        rows=max(len(summary.trials), summary.asked),
        fields=fields,
        keys=tuple(keys),
        sections=(
            Section("Trials", (Coordinates("Tuned fields and what they lead to", fields, tuple(keys)),)),
            *metric_sections(tuned.run.dataset.tasks, validated=validated),
            *logged_sections(logged),
        ),
        text=render_study_markdown(report),
        done=summary.finished,
        total=summary.asked,
    )


def metric_sections(tasks: Iterable[Task], *, validated: bool) -> list[Section]:
    """All metrics of tasks over epochs, on the test images and, if there are any, on the validation images."""
    names = [name for task in tasks for name in metrics_of(task)]
    splits = (("test", "Test images"), *((("validation", "Validation images"),) if validated else ()))
    return [
        Section(title, tuple(Lines(metric_title(name), of_split(split, name), over_epochs=True) for name in names))
        for split, title in splits
    ]


def logged_sections(keys: LoggedKeys) -> list[Section]:
    """What has been logged besides metrics: predictions, losses, diagnostics, learning rates, probes."""
    parts: dict[str, list[Panel]] = {"Predictions": [Pictures(key, key) for key in keys.pictures]}
    for key in sorted(keys.steps):
        heading = {"loss": "Losses", "contrast": "Contrast"}.get(key.partition("/")[0], "Optimizer")
        parts.setdefault(heading, []).append(Lines(key, key, over_epochs=False))
    probes = [key for key in keys.epochs if key.startswith(of_split("probe", ""))]
    parts["Probes"] = [Lines(key, key, over_epochs=True) for key in probes]
    order = ("Predictions", "Losses", "Contrast", "Optimizer", "Probes")
    return [Section(title, tuple(parts[title])) for title in order if parts.get(title)]


def metric_title(name: str) -> str:
    """A metric with its unit and direction, as the title of a plot."""
    metric = METRICS[name]
    unit = f", {metric.unit}" if metric.unit else ""
    return f"{metric.column_title}{unit} ({'higher' if metric.higher_is_better else 'lower'} is better)"
