"""A storm over a study: workers are killed and replaced until all trials are there."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tuning.study import Study, open_study
from rdc_sweeps.tuning.study_workers import work_on_study
from rdc_sweeps.tuning.summary import summarise
from rdc_sweeps.tuning.tuned_row import read_study, resolve_study
from tests.tuning.conftest import EXPERIMENTS, STUDY
from tests.tuning.simulation import Simulation, settings

NAME, EPOCHS, SECONDS = "storm", 3, 0.05


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


def storm_over_study(folder: Path, *, trials: int, kills: int, workers: int = 3, seed: int = 0) -> StudyStorm:
    """Storm over a new study in a folder until all its trials are finished.

    Args:
        folder: An empty folder.
        trials: Number of trials.
        kills: Number of workers to kill, as far as the trials last.
        workers: Number of workers at all times.
        seed: Of everything that is drawn.
    """
    path = folder / "example.yaml"
    path.write_text(STUDY.format(more="sampler: {name: tpe, startup_trials: 4}", epochs=EPOCHS))
    root = folder / "runs"
    study = open_study(root, NAME, resolve_study(read_study(path), Catalogue(EXPERIMENTS), "demo"))
    study.ask_for(trials)
    dice, killed = random.Random(seed), 0
    living = [_begin(root, trials) for _ in range(workers)]
    while study.finished < trials:
        time.sleep(dice.uniform(0.2, 0.8))
        living = [worker if worker.exitcode is None else _begin(root, trials) for worker in living]
        if killed < kills:
            dice.choice(living).kill()
            killed += 1
    for worker in living:
        worker.join(120)
    return StudyStorm(killed, study.finished, _problems(study, trials))


def _enter(root: Path, trials: int) -> None:
    raise SystemExit(work_on_study(root, NAME, settings(root), trials, work=Simulation(seconds=SECONDS)))


def _begin(root: Path, trials: int) -> SpawnProcess:
    process = multiprocessing.get_context("spawn").Process(target=_enter, args=(root, trials))
    process.start()
    return process


def _problems(study: Study, trials: int) -> list[str]:
    summary = summarise(study)
    found = []
    if (summary.finished, len(summary.trials)) != (trials, trials):
        found.append(f"{summary.finished} of {len(summary.trials)} trials are finished, {trials} were asked for")
    runs = [run for trial in summary.trials for run in trial.runs.values()]
    if len(set(runs)) < len(runs):
        found.append("trials share a run")
    for run in set(runs):
        steps = Counter(
            event["step"]
            for event in read_events(RunDirectory(study.folder.root, run).events)
            if event["kind"] == "step"
        )
        if set(steps) != set(range(len(steps))) or max(steps.values()) > 1:
            found.append(f"{run}: events of steps {sorted(steps.elements())}")
    return found
