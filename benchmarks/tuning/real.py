"""The same study with real trainings on a few images of NYU-V2."""

import os
import time
from pathlib import Path
from typing import Any

from benchmarks.tuning.studies import ROOT
from rdc_sweeps.dispatch.preparation import prepare
from rdc_sweeps.settings import Settings, load_settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.tuned import needed_runs, read_study, resolve_study
from rdc_sweeps.tuning.pool import work_in_pool
from rdc_sweeps.tuning.study import open_study
from rdc_sweeps.tuning.summary import summarise

SMALL = (
    "dataset={size: [64, 96], train_images: 120, validation_images: 40, test_images: 8}",
    "training.epochs=6",
    "method.ramp_epochs=1",
)


def run(trials: int, workers: int, root: Path) -> list[dict[str, Any]]:
    """Tune the covariance on small real images, from `nyuv2_root` of the settings and the weights in RDC_SHARED.

    Args:
        trials: Trials of the study.
        workers: Processes.
        root: Runs folder; a study that is there goes on.
    """
    settings = _settings(root)
    catalogue = Catalogue(ROOT / "experiments")
    tuned = resolve_study(read_study(ROOT / "sweeps" / "covariance.yaml"), catalogue, "cpu", settings=SMALL)
    gpus = prepare(needed_runs(tuned, catalogue), settings, lambda title, done, of: None)
    study = open_study(root, "real", tuned)
    study.ask_for(trials)
    begun = time.perf_counter()
    work_in_pool(root, "real", settings, trials, workers=workers, gpus=gpus)
    summary = summarise(study)
    row = {
        "trials": summary.finished,
        "workers": workers,
        "pruned": summary.count("pruned"),
        "failed": summary.count("failed"),
        "epochs_of_full": summary.epochs_spent / (summary.epochs_spent + summary.epochs_saved),
        "default_delta_m": summary.default.value if summary.default else None,
        "best_delta_m": summary.best.value if summary.best else None,
        "seconds": time.perf_counter() - begun,
    }
    return [row | (dict(summary.best.values) if summary.best else {})]


def _settings(root: Path) -> Settings:
    shared = os.environ.get("RDC_SHARED")
    weights = Path(shared) / "weights" if shared else None
    return load_settings(root=root.absolute(), weights_root=weights, wandb="disabled", threads=1)
