"""The study of the covariance with real trainings on a few images of NYU-V2."""

import os
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.tuning.studies import ROOT
from rdc_sweeps.dispatch.preparation import prepare
from rdc_sweeps.settings import Settings, load_settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.study import HyperbandPruner, NoPruner
from rdc_sweeps.tuning.study import open_study
from rdc_sweeps.tuning.study_workers import work_in_pool
from rdc_sweeps.tuning.summary import StudySummary, summarise
from rdc_sweeps.tuning.tuned_row import needed_runs, read_study, resolve_study

SMALL = (
    "dataset={size: [64, 96], train_images: 56, validation_images: 24, test_images: 8}",
    "training.epochs=6",
    "method.ramp_epochs=1",
)


def run(trials: int, workers: int, root: Path) -> list[dict[str, Any]]:
    """Tune the covariance on small real images with and without pruning, from `nyuv2_root` of the settings.

    Args:
        trials: Number of trials of each of the two studies.
        workers: Number of processes.
        root: Runs folder; existing studies are continued.
    """
    pruned = _study(HyperbandPruner(), trials, workers, root)
    full = _study(NoPruner(), trials, workers, root)
    return [_row("hyperband", pruned, pruned.epochs_spent), _row("none", full, pruned.epochs_spent)]


def _study(pruner: HyperbandPruner | NoPruner, trials: int, workers: int, root: Path) -> StudySummary:
    settings = _settings(root)
    catalogue = Catalogue(ROOT / "experiments")
    tuned = resolve_study(read_study(ROOT / "sweeps" / "covariance.yaml"), catalogue, "cpu", settings=SMALL)
    tuned = replace(tuned, spec=tuned.spec.model_copy(update={"pruner": pruner}))
    gpus = prepare(needed_runs(tuned, catalogue), settings, lambda title, done, of: None)
    name = f"real-{pruner.name}"
    study = open_study(root, name, tuned)
    study.ask_for(trials)
    work_in_pool(root, name, settings, trials, workers=workers, gpus=gpus)
    return summarise(study)


def _row(pruner: str, summary: StudySummary, budget: int) -> dict[str, Any]:
    values = [trial.value for trial in summary.trials if trial.phase == "complete" and trial.value is not None]
    ends = list(accumulate(trial.epochs for trial in summary.trials))
    affordable = [
        trial.value
        for trial, end in zip(summary.trials, ends, strict=True)
        if end <= budget and trial.phase == "complete" and trial.value is not None
    ]
    return {
        "pruner": pruner,
        "trials": summary.finished,
        "complete": summary.count("complete"),
        "pruned": summary.count("pruned"),
        "failed": summary.count("failed"),
        "epochs": summary.epochs_spent,
        "default_delta_m": summary.default.value if summary.default else None,
        "best_delta_m": max(values, default=None),
        "best_within_epochs_of_pruned": max(affordable, default=None),
        **(summary.best.values if summary.best else {}),
    }


def _settings(root: Path) -> Settings:
    shared = os.environ.get("RDC_SHARED")
    weights = Path(shared) / "weights" if shared else None
    return load_settings(root=root.absolute(), weights_root=weights, wandb="disabled", threads=1)
