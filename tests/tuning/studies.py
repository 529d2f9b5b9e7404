"""Studies that a test makes up: trials without trainings, and results of the runs that confirm a choice."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rdc_sweeps.reporting.report import build_report
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Failure, Result, Selected
from rdc_sweeps.runs.states import TrialPhase
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tuning.study_report import StudyReport
from rdc_sweeps.tuning.summary import StudySummary, TrialSummary
from rdc_sweeps.tuning.tuned_row import TunedRow, confirmation_runs, read_study, resolve_study
from tests.runs.writing import write_failure, write_result

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
"""As shipped once: goldens are not to change with a profile's numbers."""

SPACE = """
  method.contrast.temperature: {log: [0.01, 100]}
  method.contrast.covariance.shrinkage: {uniform: [0, 1]}
  method.contrast.covariance.ridge: {log: [1e-6, 1e-1]}
"""

EPOCHS = 4


def tuned_row(folder: Path, *, space: str = SPACE, title: str = "An example", more: str = "") -> TunedRow:
    """A study of table3's Gaussian row under the demo profile."""
    path = folder / "example.yaml"
    text = f"study: example\ntitle: {title!r}\ntable: table3\nrow: one-region-gaussian\nspace:{space}\n{more}\n"
    path.write_text(text)
    return resolve_study(read_study(path), Catalogue(EXPERIMENTS), "demo")


def trial(number: int, phase: TrialPhase, value: float | None, values: Mapping[str, Any]) -> TrialSummary:
    """A trial whose curve rises to its value; a pruned one ends after an epoch."""
    epochs = {"complete": EPOCHS, "pruned": 1 + number % 2, "running": 2}.get(phase, 0)
    curve = {} if value is None else {step: value - 3 / step for step in range(1, epochs + 1)}
    run = f"{number:016x}"
    reason = "DivergenceError: loss = nan" if phase == "failed" else None
    known = value if phase in {"complete", "pruned"} else None
    return TrialSummary(number, phase, known, values, {"0": run}, curve, epochs, reason)


def configuration(tuned: TunedRow, number: int) -> dict[str, Any]:
    """The row's own values first, then others spread over the space."""
    if number == 0:
        return tuned.own_values
    shares = [(number * step) % 1 for step in (0.618, 0.7549, 0.5698, 0.8192, 0.6711)]
    found = {}
    for share, (path, drawn) in zip(shares, tuned.spec.space.items(), strict=False):
        choices = drawn.grid(101)
        found[path] = choices[int(share * len(choices))]
    return found


def values_of(tuned: TunedRow, count: int) -> list[float]:
    """A value per trial; best near the middle of each range."""
    found = []
    for number in range(count):
        positions = [
            drawn.grid(101).index(min(drawn.grid(101), key=lambda one: abs(one - value) if _number(value) else 0.0))
            for (path, drawn), value in zip(
                tuned.spec.space.items(), configuration(tuned, number).values(), strict=True
            )
        ]
        found.append(4 - sum((position / 101 - 0.5) ** 2 for position in positions) * 20 + math.sin(number))
    return found


def _number(value: Any) -> bool:
    return isinstance(value, int | float)


def summary_of(
    tuned: TunedRow, phases: Sequence[TrialPhase], values: Sequence[float], *, asked: int | None = None, **changes: Any
) -> StudySummary:
    """A summary of trials of these phases and values."""
    trials = tuple(
        trial(number, phase, None if phase == "failed" else value, configuration(tuned, number))
        for number, (phase, value) in enumerate(zip(phases, values, strict=True))
    )
    complete = [one for one in trials if one.phase == "complete"]
    best = max(complete, key=lambda one: one.value or 0.0, default=None)
    default = next((one for one in complete if dict(one.values) == tuned.own_values), None)
    shares = {path: 0.6 * 0.5**place for place, path in enumerate(tuned.spec.space)} if len(complete) >= 8 else {}
    found = StudySummary(
        name="example-demo",
        table="table3",
        row="one-region-gaussian",
        profile="demo",
        objective="delta-m over one-patch-vector",
        direction="maximize",
        seeds=(0,),
        storage="journal",
        asked=len(trials) if asked is None else asked,
        trials=trials,
        best=best,
        default=default,
        importances=shares,
        epochs_spent=sum(one.epochs for one in trials),
        epochs_saved=sum(EPOCHS - one.epochs for one in trials if one.phase == "pruned"),
        row_yaml="- id: one-region-gaussian-tuned\n" if best else None,
        command="rdc-sweep run table3 one-region-gaussian --profile demo --seeds 1,2,3 --set a.b=1" if best else None,
    )
    return replace(found, **changes)


def usual(tuned: TunedRow, count: int = 16) -> StudySummary:
    """Complete, pruned and failed trials, and one that runs."""
    turns: tuple[TrialPhase, ...] = ("complete", "pruned", "complete", "complete", "pruned")
    phases: list[TrialPhase] = [turns[number % len(turns)] for number in range(count)]
    phases[5:7] = ["complete", "failed"]
    phases[-1] = "running"
    return summary_of(tuned, phases, values_of(tuned, count), asked=20)


def all_pruned(tuned: TunedRow) -> StudySummary:
    """Nothing to choose from."""
    return summary_of(tuned, ["pruned"] * 5, values_of(tuned, 5))


def constant(tuned: TunedRow) -> StudySummary:
    """All trials of the same value."""
    return summary_of(tuned, ["complete"] * 10, [1.5] * 10)


def single(tuned: TunedRow) -> StudySummary:
    """One trial."""
    return summary_of(tuned, ["complete"], [1.5])


def nothing(tuned: TunedRow) -> StudySummary:
    """No trial."""
    return summary_of(tuned, [], [], asked=50)


SUMMARIES: dict[str, Callable[[TunedRow], StudySummary]] = {
    one.__name__: one for one in (usual, all_pruned, constant, single, nothing)
}


def report_of(tuned: TunedRow, summary: StudySummary, root: Path, *, confirmed: bool = True) -> StudyReport:
    """A report in which the runs that confirm the choice are done, but for one that failed."""
    confirmation = None
    if summary.best is not None:
        runs = confirmation_runs(tuned, Catalogue(EXPERIMENTS), summary.best.values)
        for number, run in enumerate(runs if confirmed else ()):
            metrics = {"mIoU": 20.0 + number / 3, "aErr": 1.2 - number / 50, "mErr": 38 - number / 2}
            selected = Selected(
                epoch=3, metrics={**metrics, "aErr_released": 1.1 - number / 50, "mErr_released": 12 - number / 9}
            )
            rules = dict.fromkeys(("last", "best-validation", "best-test"), selected)
            directory = RunDirectory(root, run.id)
            if number == 4:
                write_failure(directory, Failure(cause="disk <full>", traceback="", time=0, host="h"))
                continue
            write_result(
                directory,
                Result(run=run.id, selected=rules, epochs=4, images=160, parameters=1, seconds=60, device="cpu"),
            )
        confirmation = build_report(runs, root)
    return StudyReport(tuned, summary, Path("runs/studies/example-demo"), confirmation)


def aligned(folder: Path) -> StudyReport:
    """A report of three trials chosen by alignment, one of them pruned; nothing is confirmed."""
    tuned = tuned_row(folder, more="objective: {name: alignment}")
    phases: list[TrialPhase] = ["complete", "pruned", "complete"]
    summary = summary_of(tuned, phases, [0.0123, -0.002, 0.0314], objective="alignment of region_contrast")
    metrics = {number: {"mIoU": 20.0 + number, "aErr": 1.2 - number / 20, "mErr": 38.0 - number} for number in (0, 2)}
    return replace(report_of(tuned, summary, folder / "runs", confirmed=False), validation=metrics)
