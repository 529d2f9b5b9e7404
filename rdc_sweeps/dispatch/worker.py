"""One run in one process: lock, train, record, track; whatever happens, the run directory says what."""

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from types import FrameType

import torch

from rdc_sweeps.dispatch.tracked import TrackingObserver
from rdc_sweeps.errors import RdcError, RunLockedError
from rdc_sweeps.files import write_json
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.environment import describe_environment
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.runs.records import Failure, Result, Selected
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.loop import Training, train
from rdc_sweeps.training.records import SELECTIONS, EpochRecord, select

DONE, FAILED, LOCKED, PREEMPTED = 0, 1, 6, 7
"""Exit codes of a worker."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)

log = logging.getLogger(__name__)


def work(run_id: str, settings: Settings) -> int:
    """Bring a run to its end, or to a resumable state if a signal asks to stop; returns the exit code."""
    directory = RunDirectory(settings.root, run_id)
    try:
        with directory.lock():
            if directory.result() is not None:
                return DONE
            return _Worker(directory, settings).run()
    except RunLockedError:
        return LOCKED


class _Worker:
    def __init__(self, directory: RunDirectory, settings: Settings) -> None:
        self.directory, self.settings = directory, settings
        self.stop = threading.Event()
        self.recorder = Recorder(directory)

    def run(self) -> int:
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        tracking: TrackingObserver | None = None
        try:
            spec = self.directory.read_spec()
            torch.set_num_threads(self._threads())
            write_json(self.directory.environment, describe_environment())
            tracking = TrackingObserver(self.directory, spec, self.settings)
            training = train(
                spec, self.settings, self.directory.checkpoint, [self.recorder, tracking], self.stop.is_set
            )
            self.recorder.close()
            if not training.finished:
                log.info("stopped at step %d; resumable", self.recorder.status.step)
                self.recorder.beat(state="preempted")
                tracking.finish("preempted")
                return PREEMPTED
            result = self._conclude(spec, training)
            tracking.summarise(result)
            tracking.finish("done")
        except Exception as error:
            self._fail(error)
            if tracking is not None:
                tracking.finish("failed")
            return FAILED
        return DONE

    def _threads(self) -> int:
        """CPU threads: a resumed run keeps the number it began with, for sums in another order round differently."""
        if self.directory.checkpoint.exists() and self.directory.environment.exists():
            return int(json.loads(self.directory.environment.read_text(encoding="utf-8"))["threads"])
        return self.settings.threads or torch.get_num_threads()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop.set()

    def _conclude(self, spec: RunSpec, training: Training) -> Result:
        device = "cuda" if torch.cuda.is_available() and self.settings.device != "cpu" else "cpu"
        result = Result(
            run=self.directory.id,
            selected={rule: _selected(select(training.history, rule)) for rule in SELECTIONS},
            epochs=spec.training.epochs,
            images=training.images,
            parameters=training.parameters,
            seconds=training.seconds,
            device=torch.cuda.get_device_name() if device == "cuda" else "cpu",
            history=[record.model_dump() for record in training.history],
        )
        self.directory.write_result(result)
        self.recorder.beat(state="done")
        return result

    def _fail(self, error: Exception) -> None:
        cause = str(error) if isinstance(error, RdcError) else f"{type(error).__name__}: {error}"
        log.exception("failed")
        self.recorder.close()
        self.directory.write_failure(
            Failure(
                cause=" ".join(cause.split()),
                traceback=traceback.format_exc(),
                time=time.time(),
                host=socket.gethostname(),
            )
        )
        self.recorder.beat(state="failed")


def _selected(record: EpochRecord | None) -> Selected | None:
    if record is None:
        return None
    return Selected(epoch=record.epoch, metrics=record.test, validation=record.validation)


def main(run_id: str, settings: Settings) -> None:
    """Entry of a worker process: everything printed goes to the run's log; ends the process with `work`'s code."""
    log_path = RunDirectory(settings.root, run_id).log
    log_path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    sys.exit(work(run_id, settings))
