"""A training that costs nothing: metrics that follow from the configuration by a known curve, in real run folders."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdc_sweeps.dispatch.lifecycle import Stop, run_to_end
from rdc_sweeps.files import write_json
from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.runs.records import Result
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.training import TrainingLength
from rdc_sweeps.training.observers import EpochRecord, Observer
from rdc_sweeps.tuning.epochs import trained_epochs

STEPS = 4

WAITS = "waits"
"""A file in the folder of a run that has waited."""


def quality(spec: RunSpec) -> float:
    """1 at tau = 1, shrinkage = 0.3, ridge = 1e-3; 0.5 for what is not a Gaussian contrast."""
    contrast: Any = getattr(spec.method, "contrast", None)
    if getattr(contrast, "name", None) != "gaussian":
        return 0.5
    covariance = contrast.covariance
    distance = (
        (math.log10(contrast.temperature) / 2) ** 2
        + (covariance.shrinkage - 0.3) ** 2
        + ((math.log10(covariance.ridge) + 3) / 3) ** 2
    )
    return math.exp(-2 * distance)


def metrics(spec: RunSpec, epoch: int, shift: float = 0.0) -> MetricValues:
    """Rises towards its limit; the seed adds a little."""
    grown = quality(spec) * (1 - 0.5 * 2.0 ** -(epoch + 1)) + 0.001 * spec.seed + shift
    return {"mIoU": 0.2 + 0.3 * grown, "aErr": 1.0 - 0.5 * grown, "mErr": 40.0 - 20.0 * grown}


def alignment(spec: RunSpec, epoch: int) -> float:
    """Rises towards a limit that is lower for better metrics; some are negative."""
    return 0.05 * (0.8 - quality(spec)) * (1 - 0.5 * 2.0 ** -(epoch + 1)) + 0.001 * spec.seed


def is_hot(spec: RunSpec) -> bool:
    """Whether tau is above 10."""
    return quality(spec) != 0.5 and bool(getattr(spec.method, "contrast").temperature > 10)  # noqa: B009


@dataclass(frozen=True)
class Simulation:
    """The `work` of a study: as `dispatch.worker.work`, without torch."""

    seconds: float = 0.0
    """Of a step."""
    kill_at: int | None = None
    """Step of a run at which the process is killed, once per run folder."""
    waits_from: int | None = None
    """First trial whose runs wait in their first epoch until they are to stop or are killed."""
    error: Exception | None = None
    """Raised by the runs that `fails` names."""
    fails: Callable[[RunSpec], bool] = is_hot
    curve: Callable[[RunSpec, int], MetricValues] = metrics
    """Validation metrics after an epoch."""

    def __call__(
        self,
        run_id: str,
        settings: Settings,
        *,
        observers: Sequence[Observer] = (),
        stop: threading.Event | None = None,
    ) -> int:
        directory = RunDirectory(settings.root, run_id)
        return run_to_end(directory, settings, _Body(self, directory, observers).train, stop=stop)


@dataclass(frozen=True)
class _Body:
    simulation: Simulation
    directory: RunDirectory
    observers: Sequence[Observer]

    def train(self, recorder: Recorder, stop: Stop) -> Result | None:
        spec = self.directory.read_spec()
        length = TrainingLength(spec.length.epochs * STEPS, STEPS)
        checkpoint = self.directory.checkpoint
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        step = int(checkpoint.read_text()) if checkpoint.exists() else 0
        observers: list[Observer] = [recorder, *self.observers]
        for observer in observers:
            observer.started(step, length)
        curve = self.simulation.curve
        history = trained_epochs(self.directory)[: step // STEPS]
        while step < length.steps:
            if stop():
                write_json(checkpoint, step, durable=False)
                return None
            self._perhaps_die(step)
            self._perhaps_wait(step, stop)
            time.sleep(self.simulation.seconds)
            if self.simulation.error is not None and self.simulation.fails(spec):
                raise self.simulation.error
            for observer in observers:
                observer.stepped(step // STEPS, step, {"loss": 1.0})
            step += 1
            if step % STEPS == 0:
                history.append(_record(spec, step // STEPS - 1, curve))
                for observer in observers:
                    observer.evaluated(history[-1], step - 1, [])
                write_json(checkpoint, step, durable=False)
        return Result(
            run=self.directory.id,
            selected={},
            epochs=length.epochs,
            images=8,
            parameters=1,
            seconds=0.0,
            device="cpu",
            history=[record.model_dump() for record in history],
        )

    def _perhaps_die(self, step: int) -> None:
        mark = self.directory.folder / "killed"
        if step == self.simulation.kill_at and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def _perhaps_wait(self, step: int, stop: Stop) -> None:
        first, origin = self.simulation.waits_from, self.directory.origin()
        if step != STEPS // 2 or first is None or origin is None or origin.trial is None:
            return
        if origin.trial >= first:
            (self.directory.folder / WAITS).touch()
            while not stop():
                time.sleep(0.01)


def _record(spec: RunSpec, epoch: int, curve: Callable[[RunSpec, int], MetricValues]) -> EpochRecord:
    # Test metrics are far better than validation metrics: code that uses them is noticed.
    probe = spec.training.probe
    due = probe is not None and ((epoch + 1) % probe.every == 0 or epoch + 1 == spec.length.epochs)
    return EpochRecord(
        epoch=epoch,
        losses={"loss": 1.0},
        test=metrics(spec, epoch, shift=0.4),
        validation=curve(spec, epoch),
        probe={"region_contrast/alignment": alignment(spec, epoch)} if due else {},
    )


def settings(root: Path) -> Settings:
    """Settings for simulated runs."""
    return Settings(root=root, device="cpu", threads=1, wandb="disabled", heartbeat=0.2)
