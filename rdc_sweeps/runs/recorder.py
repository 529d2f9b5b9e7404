"""The observer that writes a run's metrics and heartbeat."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rdc_sweeps.errors import LostRunError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Status

if TYPE_CHECKING:
    # What only annotations name is not worth NumPy, where the command line imports this.
    from rdc_sweeps.training.observers import Panel
    from rdc_sweeps.training.records import EpochRecord

log = logging.getLogger(__name__)


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
        self._file: IO[bytes] | None = None
        self._lines: list[str] = []
        # Heartbeats come from a thread of their own.
        self._mutex = threading.Lock()
        self._beaten = time.monotonic()
        directory.write_status(self.status)

    def beat(self, **changes: object) -> None:
        """Write the heartbeat with these changes, and bring the lines so far to disk.

        Raises:
            LostRunError: Another worker has taken the run over; nothing is written.
        """
        with self._mutex:
            self._beaten = time.monotonic()
            last = self.directory.status()
            if last is None or last.token != self.status.token:
                by = f"process {last.process} on {last.host}" if last else "somebody who removed its records"
                raise LostRunError(f"run {self.directory.id}: was taken over by {by}")
            self._flush()
            now = {**changes, "time": time.time(), "beat": self.status.beat + 1}
            self.status = self.status.model_copy(update=now)
            self.directory.write_status(self.status)

    def started(self, step: int, epochs: int, steps_per_epoch: int) -> None:
        """Drop lines of steps that a killed process took after its last checkpoint, and begin to count."""
        self._first_step, self._began = step, time.monotonic()
        try:
            lines = self.directory.metrics.read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            lines = []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < step]
        # A file of its own in any case: an earlier owner who goes on one day has the old one open.
        self.directory.write(self.directory.metrics, lambda file: self._go_on_in(file, "".join(kept)))
        self.beat(state="training", epochs=epochs, step=step, steps=epochs * steps_per_epoch)

    def _go_on_in(self, file: IO[bytes], text: str) -> None:
        file.write(text.encode())
        file.flush()
        # It stays open over its renaming: opened by its name afterwards, it might be a later owner's.
        self._file = os.fdopen(os.dup(file.fileno()), "wb", buffering=0)

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """A line; the next heartbeat tells of it.

        Raises:
            LostRunError: Another worker has taken the run over.
        """
        self.keep_in_touch()
        taken = step + 1 - self._first_step
        rate = taken / max(time.monotonic() - self._began, 1e-9)
        losses = {name: value for name, value in values.items() if name.startswith("loss")}
        with self._mutex:
            self._write({"step": step, "epoch": epoch, "values": dict(values)})
            news = {"epoch": epoch, "step": step + 1, "rate": rate, "values": losses}
            self.status = self.status.model_copy(update=news)

    def evaluated(self, record: "EpochRecord", step: int, panels: "Sequence[Panel]") -> None:
        """A line with the epoch's record, and a heartbeat.

        Raises:
            LostRunError: Another worker has taken the run over.
        """
        with self._mutex:
            self._write({"step": step, "record": record.model_dump()})
        self.beat(epoch=record.epoch + 1, step=step + 1, metrics=record.test)

    def keep_in_touch(self) -> None:
        """Give the heartbeat if it is overdue: this process may have been stopped, and have lost its run meanwhile.

        Raises:
            LostRunError: It has.
        """
        if time.monotonic() - self._beaten <= 2 * self.status.interval:
            return
        try:
            self.beat()
        except OSError as error:
            # The disk may be back at the next beat, and until then nothing can be written.
            log.warning("heartbeat: %s", error)

    def write_checkpoint(self, path: Path, write: Callable[[IO[bytes]], object]) -> None:
        """Replace a checkpoint, after the lines of all steps before it have come to disk.

        Raises:
            LostRunError: Another worker has taken the run over.
        """
        self.beat()
        with self._mutex:
            if self._file is not None:
                os.fsync(self._file.fileno())
        path.parent.mkdir(exist_ok=True)
        self.directory.write(path, write)

    def close(self) -> None:
        """Release the file. Lines since the last heartbeat are dropped: an owner's end is a heartbeat."""
        with self._mutex:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _write(self, line: Mapping[str, object]) -> None:
        self._lines.append(json.dumps(line) + "\n")

    def _flush(self) -> None:
        if self._file is not None and self._lines:
            encoded = "".join(self._lines).encode()
            # Most often all of it at once.
            while encoded:
                encoded = encoded[self._file.write(encoded) :]
            self._lines.clear()
