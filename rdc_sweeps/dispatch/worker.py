"""Trains, records and tracks one run in one process."""

import sys
import threading
from collections.abc import Sequence
from functools import partial

import torch

from rdc_sweeps.data.provenance import DataRecord, difference, of_other_data
from rdc_sweeps.dispatch.lifecycle import Stop, run_to_end
from rdc_sweeps.dispatch.ranks import train_on
from rdc_sweeps.errors import DataError, InfrastructureError, LostRunError, infrastructure_cause
from rdc_sweeps.metrics.selection import SELECTIONS, select
from rdc_sweeps.processes.children import log_to
from rdc_sweeps.processes.devices import processes_per_run
from rdc_sweeps.processes.memory import keep_freed_memory
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.environment import check_packages, describe_environment
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.runs.records import Result, Selected
from rdc_sweeps.runs.states import WorkerEnd, WorkerExit
from rdc_sweeps.settings import Settings
from rdc_sweeps.tracking.identity import Identity
from rdc_sweeps.tracking.mode import resolve_mode
from rdc_sweeps.tracking.tracker import Tracker
from rdc_sweeps.training.loop import Training
from rdc_sweeps.training.observers import EpochRecord, Observer
from rdc_sweeps.training.scores import scores_file


def work(
    run_id: str, settings: Settings, *, observers: Sequence[Observer] = (), stop: threading.Event | None = None
) -> WorkerExit:
    """Train a run to its end, or to a resumable state if a signal or `stop` requests that.

    Args:
        run_id: A run that has a directory.
        settings: Settings of the training, the tracking and the heartbeat.
        observers: Called at every step and epoch, after the run's own records are written.
        stop: Checked at every step; set by stop signals.

    Returns:
        The exit code (see `dispatch.lifecycle`).
    """
    directory = RunDirectory(settings.root, run_id)
    trainer = _Trainer(directory, settings, observers)
    return run_to_end(directory, settings, trainer.train, stop=stop, device=device_name(settings), ended=trainer.ended)


def device_name(settings: Settings) -> str:
    """The GPU's name, or `cpu`."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() and settings.device != "cpu" else "cpu"


class _Trainer:
    def __init__(self, directory: RunDirectory, settings: Settings, observers: Sequence[Observer]) -> None:
        self.directory, self.settings, self.observers = directory, settings, observers
        self.tracking: Tracker | None = None

    def train(self, recorder: Recorder, stop: Stop) -> Result | None:
        spec = self.directory.read_spec()
        if self.settings.device == "cuda" and not torch.cuda.is_available():
            # Otherwise it could take days to notice that a node trains on its CPU.
            raise InfrastructureError("device is cuda, but no GPU can be used here; `nvidia-smi` may say why")
        check_packages()
        torch.set_num_threads(self._threads())
        recorder.run.write_environment(describe_environment())
        self.tracking = Tracker(
            self.directory, Identity.of(self.directory, spec, self.settings), resolve_mode(self.settings.wandb)
        )
        try:
            training = train_on(
                processes_per_run(self.settings.gpus_per_run),
                spec,
                self.settings,
                self.directory.checkpoint,
                [recorder, self.tracking, *self.observers],
                stop,
                recorder.write_checkpoint,
                partial(self._record_data, recorder),
                images=self.directory.images,
                log_path=self.directory.log,
            )
        except LostRunError:
            self.tracking.kill()
            raise
        except (torch.AcceleratorError, torch.distributed.DistError) as error:
            # Out of memory is neither: it is the fault of the spec.
            raise InfrastructureError(f"{type(error).__name__}: {error}") from error
        if not training.finished:
            return None
        result = self._result(training)
        # Any epoch might have been selected before; now it is known which were.
        selected = {scores_file(self.directory.images, one.epoch) for one in result.selected.values() if one}
        for path in self.directory.images.glob(scores_file(self.directory.images, "*").name):
            if path not in selected:
                recorder.run.discard(path)
        return result

    def _record_data(self, recorder: Recorder, now: DataRecord) -> None:
        """Record the data; a checkpoint of other data is refused, since nobody could tell what its numbers mean."""
        then = self.directory.data()
        if then is not None and self.directory.checkpoint.exists() and (changed := difference(then, now)):
            raise DataError(f"{self.directory.checkpoint}: {of_other_data(changed)}")
        recorder.run.write_data(now)

    def ended(self, ending: WorkerEnd) -> None:
        """Close the W&B run."""
        if self.tracking is not None:
            self.tracking.finish(ending)

    def _threads(self) -> int:
        """CPU threads; a resumed run keeps its number, because sums in a different order round differently."""
        if self.directory.checkpoint.exists() and (before := self.directory.recorded_environment()) is not None:
            return before.threads
        return self.settings.threads or torch.get_num_threads()

    def _result(self, training: Training) -> Result:
        return Result(
            run=self.directory.id,
            selected={rule: _selected(select(training.history, rule)) for rule in SELECTIONS},
            epochs=len(training.history),
            images=training.images,
            parameters=training.parameters,
            seconds=training.seconds,
            device=device_name(self.settings),
            history=[record.model_dump() for record in training.history],
        )


def _selected(record: EpochRecord | None) -> Selected | None:
    if record is None:
        return None
    return Selected(epoch=record.epoch, metrics=record.test, validation=record.validation)


def main(run_id: str, settings: Settings) -> None:
    """Main function of a worker process: logs all output to the run's log and exits with the code of `work`."""
    try:
        log_to(RunDirectory(settings.root, run_id).log)
    except OSError as error:
        if infrastructure_cause(error) is None:
            raise
        sys.exit(WorkerExit.PARKED)
    if device_name(settings) == "cpu":
        keep_freed_memory()
    sys.exit(work(run_id, settings))
