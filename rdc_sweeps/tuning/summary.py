"""Summary of a study: its trials, the best one, and what to run next."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from rdc_sweeps.runs.states import TrialPhase
from rdc_sweeps.specs.dialect import yaml_text
from rdc_sweeps.specs.study import WilcoxonPruner
from rdc_sweeps.tuning.search import direction, to_parameters, to_values
from rdc_sweeps.tuning.study import Study
from rdc_sweeps.tuning.texts import objective_name

FINISHED_PHASES: tuple[TrialPhase, ...] = ("complete", "pruned", "failed")
"""Terminal phases."""

MIN_IMPORTANCE_TRIALS = 8
"""Minimum number of complete trials with different values for meaningful importances."""


@dataclass(frozen=True)
class TrialSummary:
    """One trial."""

    number: int
    phase: TrialPhase
    value: float | None
    """The objective (for a pruned trial, its last value); None if the trial is not finished or has failed."""
    values: Mapping[str, Any]
    """The configuration, by path."""
    runs: Mapping[str, str]
    """Run ids by seed."""
    curve: Mapping[int, float]
    """The objective by epoch over all seeds, from 1; by seed, from 0, under a Wilcoxon pruner."""
    epochs: int
    """Epochs trained, over all seeds."""
    reason: str | None
    """Why it failed."""


@dataclass(frozen=True)
class StudySummary:
    """A study at one moment."""

    name: str
    table: str
    row: str
    profile: str
    objective: str
    """`delta-m over ROW`, the metric, or `alignment of TERM`."""
    direction: Literal["maximize", "minimize"]
    seeds: tuple[int, ...]
    storage: str
    asked: int
    trials: tuple[TrialSummary, ...]
    best: TrialSummary | None
    """The best complete trial."""
    default: TrialSummary | None
    """The complete trial of the row's own values."""
    importances: Mapping[str, float]
    """PED-ANOVA over the complete trials, summing to 1; empty while there are too few."""
    epochs_spent: int
    epochs_saved: int
    """Epochs that pruning has saved."""
    row_yaml: str | None
    """The best configuration as a row for the table's file."""
    command: str | None
    """Command that trains the best configuration with the confirmation seeds."""

    def count(self, phase: TrialPhase) -> int:
        """Number of trials in a phase."""
        return sum(trial.phase == phase for trial in self.trials)

    @property
    def finished(self) -> int:
        """Trials that are complete, pruned or failed."""
        return sum(trial.phase in FINISHED_PHASES for trial in self.trials)


def summarise(study: Study) -> StudySummary:
    """Summarise a study."""
    spec, tuned = study.tuned.spec, study.tuned
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)
    found = study.optuna.get_trials(deepcopy=False, states=states)
    running = [trial.number for trial in found if trial.state == TrialState.RUNNING]
    # The check takes a trial's lock for a moment, in which a claim would find the trial's worker alive.
    with study.folder.observing():
        alive = {number for number in running if study.folder.is_worked_on(number)}
    trials = tuple(_trial(study, trial, trial.number in alive) for trial in found)
    complete = [trial for trial in trials if trial.phase == "complete" and trial.value is not None]
    sign = 1 if direction(spec.objective) == "maximize" else -1
    best = max(complete, key=lambda trial: sign * (trial.value or 0.0), default=None)
    own = to_parameters(spec.space, tuned.own_values)
    default = next((trial for trial in complete if to_parameters(spec.space, trial.values) == own), None)
    pruned = [trial for trial in trials if trial.phase == "pruned"]
    different = len({trial.value for trial in complete})
    return StudySummary(
        name=study.name,
        table=spec.table,
        row=spec.row,
        profile=tuned.profile,
        objective=objective_name(spec.objective, tuned.baseline_row),
        direction=direction(spec.objective),
        seeds=spec.seeds,
        storage=study.url.public,
        asked=study.asked,
        trials=trials,
        best=best,
        default=default,
        importances=_importances(study.optuna, list(spec.space)) if different >= MIN_IMPORTANCE_TRIALS else {},
        epochs_spent=sum(trial.epochs for trial in trials),
        epochs_saved=sum(study.epochs - trial.epochs for trial in pruned),
        row_yaml=None if best is None else _row_yaml(study, best),
        command=None if best is None else _command(study, best),
    )


def _trial(study: Study, trial: FrozenTrial, alive: bool) -> TrialSummary:
    phases: dict[TrialState, TrialPhase] = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
        TrialState.RUNNING: "running" if alive else "interrupted",
    }
    space = study.tuned.spec.space
    drawn = {path: space[path] for path in space if path in trial.params}
    return TrialSummary(
        number=trial.number,
        phase=phases[trial.state],
        value=trial.value,
        values=to_values(drawn, trial.params),
        runs=trial.user_attrs.get("runs", {}),
        curve=dict(sorted(trial.intermediate_values.items())),
        epochs=_epochs(study, trial),
        reason=trial.user_attrs.get("reason"),
    )


def _epochs(study: Study, trial: FrozenTrial) -> int:
    if trial.state == TrialState.COMPLETE:
        return study.epochs
    if trial.last_step is None:
        return 0
    if isinstance(study.tuned.spec.pruner, WilcoxonPruner):
        return (trial.last_step + 1) * study.tuned.run.length.epochs
    return trial.last_step


def _importances(study: optuna.Study, paths: Sequence[str]) -> dict[str, float]:
    found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(), normalize=True)
    return {path: found[path] for path in sorted(paths, key=lambda path: -found.get(path, 0.0)) if path in found}


def _row_yaml(study: Study, best: TrialSummary) -> str:
    row = study.tuned.chosen_row(best.values)
    return yaml_text([row.model_dump(mode="json", exclude_defaults=True)], flow=None)


def _command(study: Study, best: TrialSummary) -> str:
    spec = study.tuned.spec
    words = ["rdc-sweep", "run", spec.table, spec.row, "--profile", study.tuned.profile]
    if spec.confirm:
        words += ["--seeds", ",".join(map(str, spec.confirm))]
    for text in study.tuned.chosen_settings(best.values):
        words += ["--set", text]
    return shlex.join(words)
