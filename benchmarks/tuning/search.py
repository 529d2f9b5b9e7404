"""How close a study gets to the optimum, and in how many epochs, with and without pruning."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from statistics import fmean
from typing import Any

from benchmarks.tuning.curves import crossing, optimum, true_value
from benchmarks.tuning.studies import EPOCHS, opened, tuned
from rdc_sweeps.tuning.study_workers import work_on_study
from rdc_sweeps.tuning.summary import StudySummary, summarise
from tests.tuning.simulation import Simulation, settings


def run(quick: bool) -> list[dict[str, Any]]:
    """A row per sampler and pruner: means over the samplers' seeds.

    `regret` is what the chosen configuration lacks in true mIoU to the optimum, in percent of the optimum. At equal
    budget, a pruned study goes on until it has spent the epochs of the one without pruning.
    """
    trials, seeds = (20, 2) if quick else (50, 3)
    best = optimum(tuned("none", "tpe", 0))
    pairs = [(sampler, pruner) for sampler in ("tpe", "random") for pruner in ("none", "hyperband", "median")]
    # No time is measured: results do not depend on how many studies run at once.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        found = {
            (sampler, pruner, budget): [
                pool.submit(_study, sampler, pruner, seed, trials, budget=budget) for seed in range(seeds)
            ]
            for sampler, pruner in pairs
            for budget in ((False,) if pruner == "none" else (False, True))
        }
        outcomes = {key: [future.result() for future in futures] for key, futures in found.items()}
    rows = []
    for sampler, pruner in pairs:
        studies = outcomes[sampler, pruner, False]
        longer = outcomes.get((sampler, pruner, True), studies)
        rows.append(
            {
                "sampler": sampler,
                "pruner": pruner,
                "trials": trials,
                "studies": seeds,
                "epochs_of_full": fmean(epochs for _, epochs, _ in studies) / (trials * EPOCHS),
                "regret_percent": fmean(100 * (best - value) / best for value, _, _ in studies),
                "regret_at_equal_epochs_percent": fmean(100 * (best - value) / best for value, _, _ in longer),
                "trials_at_equal_epochs": fmean(count for _, _, count in longer),
            }
        )
    return rows


def _study(sampler: str, pruner: str, seed: int, trials: int, *, budget: bool) -> tuple[float, int, int]:
    """True mIoU of the chosen configuration, epochs spent, trials; with a budget, of the epochs of `trials` trials."""
    study = tuned(pruner, sampler, seed)
    with opened(study, trials, memory=True) as one:
        root, count = one.folder.root, trials
        while True:
            work_on_study(root, one.name, settings(root), count, work=Simulation(curve=crossing))
            summary = summarise(one)
            left = trials * EPOCHS - summary.epochs_spent
            if not budget or left < EPOCHS:
                return true_value(study, _chosen(summary)), summary.epochs_spent, count
            count += max(1, left // EPOCHS)


def _chosen(summary: StudySummary) -> dict[str, Any]:
    return dict(summary.best.values) if summary.best else {}
