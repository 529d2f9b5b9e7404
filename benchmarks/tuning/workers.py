"""Time lost by a second worker, and the cost of a trial besides its training."""

import multiprocessing
import time
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.tuning.curves import crossing
from benchmarks.tuning.studies import opened, tuned
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.specs.run import run_id
from rdc_sweeps.tuning.study import Study
from rdc_sweeps.tuning.study_workers import work_on_study
from tests.tuning.simulation import Simulation, settings

STEP_SECONDS = 0.02


def scaling(quick: bool) -> list[dict[str, Any]]:
    """Trainings that only sleep, so that the number of cores does not matter: 1 worker against several."""
    trials = 8 if quick else 24
    times = {(storage, workers): _timed(trials, workers, storage) for storage in STORAGES for workers in (1, 2, 4)}
    return [
        {
            "storage": storage,
            "workers": workers,
            "trials": trials,
            "speed_up": times[storage, 1] / seconds,
            "efficiency": times[storage, 1] / seconds / workers,
        }
        for (storage, workers), seconds in times.items()
    ]


STORAGES = ("journal", "sqlite")


def _timed(trials: int, workers: int, storage: str) -> float:
    with opened(tuned("none", "tpe", 0), trials, storage) as study:
        url = None if study.url.is_journal else study.url.public
        context = multiprocessing.get_context("spawn")
        arguments = (study.folder.root, study.name, trials, url)
        processes = [context.Process(target=_work, args=arguments) for _ in range(workers)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        found = study.optuna.get_trials(deepcopy=False)
        # The start of the processes is excluded: it is the same for a short and a long study.
        began = min(trial.datetime_start for trial in found if trial.datetime_start)
        return max((trial.datetime_complete - began).total_seconds() for trial in found if trial.datetime_complete)


def _work(root: Path, name: str, trials: int, url: str | None) -> None:
    simulation = Simulation(seconds=STEP_SECONDS, curve=crossing)
    work_on_study(root, name, settings(root), trials, storage=url, work=simulation)


def overhead(quick: bool) -> list[dict[str, Any]]:
    """Overhead of a trial in milliseconds, against the same instant trainings without a study."""
    trials = 10 if quick else 40
    rows = []
    for storage in STORAGES:
        for sampler in ("random", "tpe", "gp"):
            with opened(tuned("none", sampler, 0), trials, storage) as one:
                begun = time.perf_counter()
                url = None if one.url.is_journal else one.url.public
                root = one.folder.root
                work_on_study(root, one.name, settings(root), trials, storage=url, work=Simulation(curve=crossing))
                whole = time.perf_counter() - begun
                rows.append(
                    {
                        "storage": storage,
                        "sampler": sampler,
                        "trials": trials,
                        "ms_per_trial": 1000 * (whole - _alone(one, trials)) / trials,
                    }
                )
    return rows


def _alone(study: Study, trials: int) -> float:
    """Seconds that the same number of runs takes without a study."""
    seconds = []
    for trial in study.optuna.get_trials(deepcopy=False)[: min(10, trials)]:
        spec = study.tuned.run_with(trial.params, 99)
        directory = RunDirectory(study.folder.root, run_id(spec))
        begun = time.perf_counter()
        request_run(directory, spec)
        Simulation(curve=crossing)(directory.id, settings(study.folder.root))
        seconds.append(time.perf_counter() - begun)
    return fmean(seconds) * trials
