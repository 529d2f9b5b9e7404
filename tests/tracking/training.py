"""A training as recorder and tracker see it; as a program, one that is killed: `python training.py FOLDER MODE`."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import numpy as np

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.runs.records import Result, Selected
from rdc_sweeps.specs.training import TrainingLength
from rdc_sweeps.tracking.identity import Identity
from rdc_sweeps.tracking.mode import Mode, resolve_mode
from rdc_sweeps.tracking.tracker import Tracker
from rdc_sweeps.training.observers import EpochRecord

RUN = "0123456789abcdef"
CONFIG = {"seed": 0, "method": {"name": "region_contrast", "tau": 5.4}}
STEPS_PER_EPOCH = 10
EPOCHS = 10
IDENTITY = Identity(
    RUN,
    project="rdc-sweeps",
    entity=None,
    group="table3",
    job_type="region_contrast",
    name="table3/region_contrast seed 0",
    tags=("table3", "cpu"),
    config=CONFIG,
)


class Node:
    """A worker that trains a run under a folder, with a known loss at every step; every tenth ends an epoch."""

    def __init__(
        self,
        root: Path,
        mode: Mode,
        *,
        init_timeout: float = 30.0,
        finish_timeout: float = 60.0,
        warn: Callable[[str], object] = print,
    ) -> None:
        self.run = RunDirectory(root, RUN)
        self._owned = ExitStack()
        self.owned = self._owned.enter_context(acquire(self.run))
        self.recorder = Recorder(self.owned)
        self.tracker = Tracker(
            self.run, IDENTITY, mode, init_timeout=init_timeout, finish_timeout=finish_timeout, warn=warn
        )
        self.observers = (self.recorder, self.tracker)

    def start(self, step: int = 0) -> None:
        for observer in self.observers:
            observer.started(step, TrainingLength(EPOCHS * STEPS_PER_EPOCH, STEPS_PER_EPOCH))

    def step(self, step: int, value: float) -> None:
        for observer in self.observers:
            observer.stepped(step // STEPS_PER_EPOCH, step, {"loss": value, "learning_rate": 5e-4})
        self.recorder.beat()

    def train(self, first: int, end: int) -> None:
        """Steps from `first` to before `end`."""
        for step in range(first, end):
            self.step(step, loss(step))
            if (step + 1) % STEPS_PER_EPOCH == 0:
                epoch = step // STEPS_PER_EPOCH
                record = EpochRecord(epoch=epoch, losses={}, test={"mIoU": miou(epoch), "aErr": None}, validation=None)
                for observer in self.observers:
                    observer.evaluated(record, step, [("image 3", np.full((24, 32, 3), epoch, dtype=np.uint8))])

    def finish(self, state: Literal["done", "failed", "preempted"]) -> None:
        self.recorder.ended(state)
        if state == "done":
            self.owned.write_result(result())
        self.tracker.finish(state)
        self.recorder.close()
        self._owned.close()


def result() -> Result:
    best = Selected(epoch=1, metrics={"mIoU": 21.0, "aErr": None})
    return Result(
        run=RUN, selected={"best-test": best, "best-validation": None}, epochs=EPOCHS, images=1, parameters=7,
        seconds=1.5, device="cpu",
    )  # fmt: skip


def loss(step: int) -> float:
    return 1.0 / (1 + step)


def miou(epoch: int) -> float:
    return 20.0 + epoch


if __name__ == "__main__":
    node = Node(Path(sys.argv[1]), resolve_mode(sys.argv[2]))
    node.start()
    node.train(0, 35)
    print("trained", os.getpid(), flush=True)
    time.sleep(600)
