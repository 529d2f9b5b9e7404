"""A training as the tracker sees it; as a program, one that is killed: `python training.py FOLDER MODE`."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rdc_sweeps.tracking.mode import Mode, resolve_mode
from rdc_sweeps.tracking.wandb import WandbTracker

RUN = "0123456789abcdef"
CONFIG = {"seed": 0, "method": {"name": "region_contrast", "tau": 5.4}}
STEPS_PER_EPOCH = 10


def tracker(
    folder: Path,
    mode: Mode,
    *,
    init_timeout: float = 30.0,
    finish_timeout: float = 60.0,
    warn: Callable[[str], object] = print,
) -> WandbTracker:
    return WandbTracker(
        RUN,
        folder,
        CONFIG,
        mode=mode,
        project="rdc-sweeps",
        group="table3",
        job_type="region_contrast",
        name="table3/region_contrast seed 0",
        tags=["table3", "cpu"],
        init_timeout=init_timeout,
        finish_timeout=finish_timeout,
        warn=warn,
    )


def train(observer: WandbTracker, first: int, end: int) -> None:
    """Steps from `first` to before `end`; every tenth ends an epoch."""
    for step in range(first, end):
        observer.log_step(step, {"loss": loss(step), "learning_rate": 5e-4})
        if (step + 1) % STEPS_PER_EPOCH == 0:
            epoch = step // STEPS_PER_EPOCH
            observer.log_epoch(epoch, step, {"test/mIoU": miou(epoch)})
            observer.log_panels(epoch, step, [("image 3", np.full((24, 32, 3), epoch, dtype=np.uint8))])


def loss(step: int) -> float:
    return 1.0 / (1 + step)


def miou(epoch: int) -> float:
    return 20.0 + epoch


if __name__ == "__main__":
    observer = tracker(Path(sys.argv[1]), resolve_mode(sys.argv[2]))
    observer.start(0)
    train(observer, 0, 35)
    print("trained", os.getpid(), flush=True)
    time.sleep(600)
