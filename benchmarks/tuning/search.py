"""How near to the optimum a study gets, and for how many epochs, with and without pruning."""

from itertools import product
from statistics import fmean
from typing import Any

from benchmarks.tuning.curves import crossing, optimum, true_value
from benchmarks.tuning.studies import EPOCHS, opened, tuned
from rdc_sweeps.tuning.summary import StudySummary, summarise
from rdc_sweeps.tuning.worker import work_on_study
from tests.tuning.simulation import Simulation, settings


def run(quick: bool) -> list[dict[str, Any]]:
    """A row per sampler and pruner: means over the samplers' seeds.

    `regret` is what the chosen configuration lacks in true mIoU to the optimum, in percent of the optimum. At equal
    budget, a pruned study goes on until it has spent the epochs of the one without pruning.
    """
    trials, seeds = (20, 2) if quick else (50, 5)
    best = optimum(tuned("none", "tpe", 0))
    rows = []
    for sampler, pruner in product(("tpe", "random"), ("none", "hyperband", "median")):
        studies = [_study(sampler, pruner, seed, trials, budget=False) for seed in range(seeds)]
        longer = studies if pruner == "none" else [
            _study(sampler, pruner, seed, trials, budget=True) for seed in range(seeds)
        ]  # fmt: skip
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
