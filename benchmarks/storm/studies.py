"""A storm over a study: workers are killed and replaced until all trials are there."""

from __future__ import annotations

import multiprocessing
import random
import time
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path
from signal import SIGKILL

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tuning.study import Study, open_study
from rdc_sweeps.tuning.study_workers import work_on_study
from rdc_sweeps.tuning.summary import summarise
from rdc_sweeps.tuning.tuned_row import read_study, resolve_study
from tests.tuning.conftest import EXPERIMENTS, STUDY
from tests.tuning.simulation import Simulation, settings

NAME, EPOCHS, SECONDS = "storm", 3, 0.1


@dataclass(frozen=True)
class StudyStorm:
    """What a storm over a study did.

    Attributes:
        kills: Workers that were killed.
        trials: Finished trials.
        problems: What is wrong; empty if no trial was lost, counted twice or partly trained twice.
    """

    kills: int
    trials: int
    problems: list[str]


def storm_over_study(
    study: Study, storage: str | None, *, trials: int, kills: int, workers: int = 3, seed: int = 0
) -> StudyStorm:
    """Storm over a study until all its trials are finished, or until a worker fails by itself.

    Args:
        study: A new study that was asked for the trials.
        storage: See `open_study`.
        trials: Number of trials.
        kills: Number of workers to kill, as far as the trials last.
        workers: Number of workers at all times.
        seed: Of everything that is drawn.
    """
    dice, killed = random.Random(seed), 0
    root, name = study.folder.root, study.folder.name

    def begin() -> SpawnProcess:
        return begin_worker(root, name, storage, trials, Simulation(seconds=SECONDS))

    living = [begin() for _ in range(workers)]
    failures: list[str] = []
    while study.finished < trials and not failures:
        time.sleep(dice.uniform(0.1, 0.8))
        codes = [worker.exitcode for worker in living]
        failures = [f"a worker ended with exit code {code}" for code in codes if code not in (None, 0, -SIGKILL)]
        living = [begin() if code is not None else worker for worker, code in zip(living, codes, strict=True)]
        if killed < kills:
            dice.choice(living).kill()
            killed += 1
    for worker in living:
        worker.join(120)
    return StudyStorm(killed, study.finished, failures + study_problems(study, trials))


def new_study(folder: Path, trials: int) -> Study:
    """A study of simulated trainings in an empty folder."""
    path = folder / "example.yaml"
    path.write_text(STUDY.format(more="sampler: {name: tpe, startup_trials: 4}", epochs=EPOCHS))
    study = open_study(folder / "runs", NAME, resolve_study(read_study(path), Catalogue(EXPERIMENTS), "demo"))
    study.ask_for(trials)
    return study


def begin_worker(root: Path, name: str, storage: str | None, trials: int, simulation: Simulation) -> SpawnProcess:
    """Start a worker of a study, which ends with the exit code of `work_on_study`."""
    process = multiprocessing.get_context("spawn").Process(target=_work, args=(root, name, storage, trials, simulation))
    process.start()
    return process


def _work(root: Path, name: str, storage: str | None, trials: int, simulation: Simulation) -> None:
    raise SystemExit(work_on_study(root, name, settings(root), trials, storage=storage, work=simulation))


def study_problems(study: Study, trials: int) -> list[str]:
    """What is wrong with a study that should have so many finished trials, none beside them, each trained once."""
    summary = summarise(study)
    found = []
    if (summary.finished, len(summary.trials), summary.asked) != (trials, trials, trials):
        found.append(f"{summary.finished} of {len(summary.trials)} trials are finished, {trials} were asked for")
    if [trial.number for trial in summary.trials] != list(range(trials)):
        found.append("trials are not numbered one after the other")
    runs = [run for trial in summary.trials for run in trial.runs.values()]
    if len(set(runs)) != trials:
        found.append(f"{len(set(runs))} runs of {trials} trials")
    for run in runs:
        events = read_events(RunDirectory(study.folder.root, run).events)
        steps = [event["step"] for event in events if event["kind"] == "step"]
        if steps != list(range(len(steps))):
            found.append(f"{run}: events of steps {steps}")
    found += [
        f"trial {trial.number}: values after epochs {sorted(trial.intermediate_values)}"
        for trial in study.optuna.trials
        if sorted(trial.intermediate_values) != list(range(1, len(trial.intermediate_values) + 1))
    ]
    return found
