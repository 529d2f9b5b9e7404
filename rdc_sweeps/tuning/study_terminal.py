"""A study on a terminal: its progress and its results."""

from collections.abc import Sequence
from dataclasses import replace

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from rdc_sweeps.reporting.lines import missing_lines
from rdc_sweeps.reporting.terminal import render_terminal
from rdc_sweeps.runs.states import TrialPhase
from rdc_sweeps.tuning.study_progress import StudyProgress
from rdc_sweeps.tuning.study_report import StudyReport
from rdc_sweeps.tuning.summary import StudySummary, TrialSummary
from rdc_sweeps.tuning.texts import caveat, objective_text, objective_title, short_titles, value_text, values_text

STYLES: dict[TrialPhase, str] = {
    "complete": "green",
    "pruned": "yellow",
    "failed": "red",
    "running": "cyan",
    "interrupted": "yellow",
}

MAX_REASONS = 5
"""Failed trials whose reason is shown."""


def counts(summary: StudySummary) -> Text:
    """How many trials are finished, and how they ended."""
    line = Text(f"{summary.finished} of {summary.asked} trials finished")
    states = [
        Text(f"{count} {phase}", style=style) for phase, style in STYLES.items() if (count := summary.count(phase))
    ]
    if states:
        line.append(": ").append_text(Text(", ").join(states))
    return line.append(f"; {_epochs(summary.epochs_spent)} trained, {summary.epochs_saved} saved by pruning")


def live_board(summary: StudySummary, progress: StudyProgress, lines: int | None = None) -> RenderableType:
    """A study while it runs: counts, best trial, trials in training.

    Args:
        summary: The trials.
        progress: What is known besides the trials.
        lines: How many running trials to show; None for all.
    """
    title = f"study {summary.name}: {summary.table}/{summary.row} under profile {summary.profile}"
    state = counts(summary)
    if progress.seconds_left is not None:
        state.append(f"; about {clock(progress.seconds_left)} left")
    lines_above = [Text(title, style="bold"), state]
    if progress.baseline:
        lines_above.append(Text(progress.baseline, style="cyan"))
    if summary.best is not None:
        lines_above.append(_best_line(summary))
    # A column folds long lines, whatever the console does with texts.
    above = Table.grid()
    above.add_column(overflow="fold")
    for line in lines_above:
        above.add_row(line)
    parts: list[RenderableType] = [above]
    running = [trial for trial in summary.trials if trial.phase == "running"]
    if running:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("trial", "epoch", summary.objective.partition(" ")[0]):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("configuration", overflow="fold")
        for trial in running[:lines]:
            value = trial.curve[max(trial.curve)] if trial.curve else None
            table.add_row(
                str(trial.number),
                f"{trial.epochs}/{progress.epochs}",
                objective_text(value, summary.objective),
                Text(values_text(trial.values)),
            )
        parts.append(table)
    return Group(*parts)


def _best_line(summary: StudySummary) -> Text:
    best, default = summary.best, summary.default
    assert best is not None  # asked by the caller
    line = Text.assemble(
        ("best so far ", "bold"),
        (objective_text(best.value, summary.objective), "bold green"),
        f" (trial {best.number}): {values_text(best.values)}",
    )
    if default is not None:
        line.append(f"; the untuned row {objective_text(default.value, summary.objective)}", style="dim")
    return line


def clock(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def trial_line(trial: TrialSummary, summary: StudySummary) -> str:
    """One trial in one line, for output that is not a terminal."""
    value = "" if trial.value is None else f", {objective_text(trial.value, summary.objective)}"
    after = f" after {_epochs(trial.epochs)}" if trial.phase == "pruned" else ""
    reason = f": {trial.reason}" if trial.reason else f" ({values_text(trial.values)})"
    return f"trial {trial.number}: {trial.phase}{after}{value}{reason}"


def print_study(report: StudyReport, console: Console, files: Sequence[str] = ()) -> None:
    """Print the results of a study: validation values, test metrics of the choice, and what to run next.

    Args:
        report: The study.
        console: Where to print.
        files: Names of the figures and reports that were written.
    """
    summary, spec = report.summary, report.tuned.spec
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("row", f"{summary.table}/{summary.row} under profile {summary.profile}")
    facts.add_row("objective", objective_title(summary.objective))
    facts.add_row("trials", counts(summary))
    console.print(Group(Text.assemble((summary.name, "bold cyan"), "  ", (spec.title, "bold")), facts, ""))
    if report.compared:
        console.print(_compared(report))
    if summary.best is None:
        console.print(Text("no trial is complete yet: there is nothing to choose from", style="yellow"))
    else:
        console.print(_bullet("·", "yellow", caveat(summary.objective)))
    if report.metrics:
        console.print(
            Group("", Text("on validation images, by which no trial is chosen", style="bold"), _validation(report))
        )
    for line in _failures(summary):
        console.print(_bullet("✗", "red", line))
    console.print(Group(*_test_part(report)), end="")
    if summary.command is not None:
        _print_next(summary, console)
    if files:
        console.print(Group("", Text(f"in {report.folder}: {', '.join(files)}", style="dim", overflow="fold")))


def _print_next(summary: StudySummary, console: Console) -> None:
    """Print the command and the row to copy, whose lines are neither folded nor cut."""
    console.print(Group("", Text("to train the best configuration with the confirmation seeds:", style="dim")))
    console.print(Text(f"  {summary.command}"), soft_wrap=True)
    console.print(Text(f"the same as a row for {summary.table}.yaml:", style="dim"))
    for line in (summary.row_yaml or "").splitlines():
        console.print(Text(f"  {line}"), soft_wrap=True)


def _epochs(count: int) -> str:
    return f"{count} epoch{'' if count == 1 else 's'}"


def _compared(report: StudyReport) -> Table:
    """A table of the trials to compare, with the importances of the fields below."""
    summary, spec = report.summary, report.tuned.spec
    titles = short_titles(list(spec.space))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for column in ("trial", summary.objective.partition(" ")[0], *titles.values()):
        table.add_column(column, justify="right", overflow="fold")
    for name, trial in report.compared:
        value = objective_text(trial.value, summary.objective)
        table.add_row(
            Text(name, style="bold" if trial is summary.best else ""),
            str(trial.number),
            f"{value} ({trial.phase})" if trial.phase != "complete" else value,
            *(value_text(trial.values[path]) if path in trial.values else "" for path in titles),
        )
    if summary.importances:
        table.add_section()
        shares = (f"{summary.importances[path]:.2f}" if path in summary.importances else "" for path in titles)
        table.add_row(Text("importance", style="dim"), "", "", *(Text(share, style="dim") for share in shares))
    return table


def _validation(report: StudyReport) -> Table:
    """A table of validation metrics of the trials to compare."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for column in ("trial", *report.metrics):
        table.add_column(column, justify="right")
    for name, trial in report.compared:
        if found := report.validation.get(trial.number):
            table.add_row(
                name, str(trial.number), *(objective_text(found.get(metric), metric) for metric in report.metrics)
            )
    return table


def _failures(summary: StudySummary) -> list[str]:
    failed = [trial for trial in summary.trials if trial.phase == "failed"]
    lines = [
        f"trial {trial.number} failed: {trial.reason or 'no reason is recorded'}" for trial in failed[:MAX_REASONS]
    ]
    return [*lines, f"{len(failed) - MAX_REASONS} more have failed"] if len(failed) > MAX_REASONS else lines


def _test_part(report: StudyReport) -> list[RenderableType]:
    found = report.confirmation
    if found is None or all(outcome.state == "planned" for row in found.rows for outcome in row.outcomes):
        return []
    # Its own text on missing runs would name the command of a table.
    table = render_terminal(replace(found, missing=()))
    missing = [_bullet("✗", "red", line) for line in missing_lines(found)]
    return ["", Text("on test images, with seeds that no trial has used", style="bold"), table, *missing]


def _bullet(sign: str, style: str, text: str) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(sign, style=style), Text(text, style=style))
    return grid
