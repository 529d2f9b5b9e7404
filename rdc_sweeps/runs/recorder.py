"""The observer that writes a run's metrics and heartbeat."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TextIO

from rdc_sweeps.errors import LostRunError
from rdc_sweeps.files import write_atomically
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Status
from rdc_sweeps.training.observers import Panel
from rdc_sweeps.training.records import EpochRecord


class Recorder:
    """Writes `metrics.jsonl`, a line per step and epoch, and the heartbeat. Creating it takes the run over.

    Args:
        directory: The run, which the caller owns (see `runs.ownership`).
        interval: Seconds between the heartbeats that the caller gives by `beat`.
        device: Name of the GPU, or `cpu`.
    """

    def __init__(self, directory: RunDirectory, *, interval: float = 1.0, device: str = "") -> None:
        self.directory = directory
        self.status = Status.of_this_process("starting", interval).model_copy(update={"device": device})
        self._first_step, self._began = 0, 0.0
        self._lines: TextIO | None = None
        # Heartbeats come from a thread of their own.
        self._mutex = threading.Lock()
        directory.write_status(self.status)

    def beat(self, **changes: object) -> None:
        """Write the heartbeat with these changes, and bring the lines so far to disk.

        Raises:
            LostRunError: Another worker has taken the run over; nothing is written.
        """
        with self._mutex:
            last = self.directory.status()
            if last is None or last.token != self.status.token:
                by = f"process {last.process} on {last.host}" if last else "somebody who removed its records"
                raise LostRunError(f"run {self.directory.id}: was taken over by {by}")
            if self._lines is not None:
                self._lines.flush()
            now = {**changes, "time": time.time(), "beat": self.status.beat + 1}
            self.status = self.status.model_copy(update=now)
            self.directory.write_status(self.status)

    def started(self, step: int, epochs: int, steps_per_epoch: int) -> None:
        """Drop lines of steps that a killed process took after its last checkpoint, and begin to count."""
        self._first_step, self._began = step, time.monotonic()
        self._forget_from(step)
        self._lines = self.directory.metrics.open("a", encoding="utf-8")
        self.beat(state="training", epochs=epochs, step=step, steps=epochs * steps_per_epoch)

    def _forget_from(self, step: int) -> None:
        try:
            lines = self.directory.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            return
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < step]
        if len(kept) < len(lines):
            write_atomically(self.directory.metrics, lambda file: file.write("".join(kept).encode()))

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """A line; the next heartbeat tells of it."""
        taken = step + 1 - self._first_step
        rate = taken / max(time.monotonic() - self._began, 1e-9)
        losses = {name: value for name, value in values.items() if name.startswith("loss")}
        with self._mutex:
            self._write({"step": step, "epoch": epoch, "values": dict(values)})
            news = {"epoch": epoch, "step": step + 1, "rate": rate, "values": losses}
            self.status = self.status.model_copy(update=news)

    def evaluated(self, record: EpochRecord, step: int, panels: Sequence[Panel]) -> None:
        """A line with the epoch's record, and a heartbeat.

        Raises:
            LostRunError: Another worker has taken the run over.
        """
        with self._mutex:
            self._write({"step": step, "record": record.model_dump()})
        self.beat(epoch=record.epoch + 1, step=step + 1, metrics=record.test)

    def close(self) -> None:
        """Bring all lines to disk."""
        with self._mutex:
            if self._lines is not None:
                self._lines.close()
                self._lines = None

    def _write(self, line: Mapping[str, object]) -> None:
        assert self._lines is not None  # training begins with started()
        self._lines.write(json.dumps(line) + "\n")
