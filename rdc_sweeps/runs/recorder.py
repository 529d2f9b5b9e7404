"""The observer that writes a run's event log and heartbeat."""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from rdc_sweeps.errors import DamagedError, LostRunError
from rdc_sweeps.runs.events import encode, verified_lines
from rdc_sweeps.runs.owned import OwnedRun
from rdc_sweeps.runs.records import Status
from rdc_sweeps.runs.states import WorkerEnd
from rdc_sweeps.specs.training import TrainingLength

if TYPE_CHECKING:
    # Only annotations need these, and importing NumPy would slow down the command line.
    import numpy as np
    from numpy.typing import NDArray

    from rdc_sweeps.training.observers import EpochRecord, Panel

log = logging.getLogger(__name__)


class Recorder:
    """Writes the event log (see `runs.events`), the panels and the heartbeat; the first heartbeat on creation.

    Args:
        run: The run.
        interval: Seconds between the caller's calls of `beat`.
        device: Name of the GPU, or `cpu`.
    """

    def __init__(self, run: OwnedRun, *, interval: float = 1.0, device: str = "") -> None:
        self.run, self.directory = run, run.directory
        self.status = Status.of_this_process("starting", interval).model_copy(update={"device": device})
        self._first_step, self._began = 0, 0.0
        self._file: IO[bytes] | None = None
        self._unwritten = b""
        self._sequence = 0
        self._ended = False
        # Heartbeats are sent from a separate thread.
        self._mutex = threading.Lock()
        self._beaten = time.monotonic()
        run.write_status(self.status)

    def beat(self, **changes: object) -> None:
        """Write the heartbeat with these changes, and write pending events to disk.

        Raises:
            LostRunError: Another worker has taken over the run; nothing is written.
        """
        with self._mutex:
            self._beaten = time.monotonic()
            try:
                last = self.directory.status()
            except DamagedError as error:
                # If another worker had taken over, the write below would fail.
                log.warning("%s", error)
                last = self.status
            if last is None or last.token != self.status.token:
                by = f"process {last.process} on {last.host}" if last else "a process that removed its records"
                raise LostRunError(f"run {self.directory.id}: was taken over by {by}")
            self._flush()
            now = {**changes, "time": time.time(), "beat": self.status.beat + 1}
            self.status = self.status.model_copy(update=now)
            self.run.write_status(self.status)

    def started(self, step: int, length: TrainingLength) -> None:
        """Truncate the log to the events before `step`, dropping those of a killed worker since its last checkpoint.

        Raises:
            EventLogError: An event before `step` is damaged or missing.
        """
        self._first_step, self._began = step, time.monotonic()
        kept = verified_lines(self.directory.events, step, length.epochs_after(step))
        self._sequence = len(kept)
        # Always a new file: an earlier owner that was suspended may still have the old one open.
        self.run.write(self.directory.events, lambda file: self._continue_in(file, b"".join(kept)))
        self.beat(state="training", epochs=length.epochs, step=step, steps=length.steps)

    def _continue_in(self, file: IO[bytes], content: bytes) -> None:
        file.write(content)
        file.flush()
        # Keep it open across the rename: reopened by name, it could be the file of a later owner.
        self._file = os.fdopen(os.dup(file.fileno()), "wb", buffering=0)

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Log a step; the next heartbeat writes it to disk.

        Raises:
            LostRunError: Another worker has taken over the run.
        """
        self.keep_in_touch()
        taken = step + 1 - self._first_step
        rate = taken / max(time.monotonic() - self._began, 1e-9)
        losses = {name: value for name, value in values.items() if name.startswith("loss")}
        with self._mutex:
            self._log("step", step, epoch=epoch, values=dict(values))
            news = {"epoch": epoch, "step": step + 1, "rate": rate, "values": losses}
            self.status = self.status.model_copy(update=news)

    def evaluated(self, record: "EpochRecord", step: int, panels: "Sequence[Panel]") -> None:
        """Save the panels of an epoch, log the epoch, and send a heartbeat.

        Raises:
            LostRunError: Another worker has taken over the run.
        """
        files = {title: self._save(f"{step:08d}-{n}", title, image) for n, (title, image) in enumerate(panels)}
        with self._mutex:
            if files:
                self._log("panels", step, epoch=record.epoch, panels=files)
            # Last, so that a log with the epoch's record has everything of that epoch.
            self._log("epoch", step, epoch=record.epoch, record=record.model_dump())
        self.beat(epoch=record.epoch + 1, step=step + 1, metrics=record.test)

    def ended(self, state: WorkerEnd) -> None:
        """Log how this worker ended, once and only if it trained, and send a heartbeat.

        Raises:
            LostRunError: Another worker has taken over the run.
        """
        with self._mutex:
            if self._file is not None and not self._ended:
                self._log("end", self.status.step, state=state)
                self._ended = True
        self.beat(state=state)

    def keep_in_touch(self) -> None:
        """Send the heartbeat if it is overdue: this process may have been suspended and lost its run meanwhile.

        Raises:
            LostRunError: Another worker has taken over the run.
        """
        if time.monotonic() - self._beaten <= 2 * self.status.interval:
            return
        try:
            self.beat()
        except OSError as error:
            # The disk may be back by the next heartbeat; until then nothing can be written.
            log.warning("heartbeat: %s", error)

    def write_checkpoint(self, path: Path, write: Callable[[IO[bytes]], object]) -> None:
        """Replace a checkpoint, or a file that belongs to one, after syncing the events of all earlier steps to disk.

        Raises:
            LostRunError: Another worker has taken over the run.
        """
        self.beat()
        with self._mutex:
            if self._file is not None:
                os.fsync(self._file.fileno())
        path.parent.mkdir(exist_ok=True)
        self.run.write(path, write)

    def close(self) -> None:
        """Close the log. Events since the last heartbeat are dropped; `ended` sends the final heartbeat."""
        with self._mutex:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _save(self, number: str, title: str, image: "NDArray[np.uint8]") -> str:
        """Write a panel as PNG and return its path relative to the run's folder."""
        from PIL import Image

        name = f"panels/{number}-{re.sub(r'[^A-Za-z0-9.-]+', '-', title)}.png"
        path = self.directory.folder / name
        path.parent.mkdir(exist_ok=True)
        picture = Image.fromarray(image)
        # Not synced to disk: a run resumed from before this epoch draws it again.
        self.run.write(path, lambda file: picture.save(file, format="PNG"), durable=False)
        return name

    def _log(self, kind: str, step: int, **fields: object) -> None:
        self._unwritten += encode({"kind": kind, "step": step, **fields}, self._sequence)
        self._sequence += 1

    def _flush(self) -> None:
        # Usually a single write. Whatever a full disk rejects is retried at the next heartbeat.
        while self._file is not None and self._unwritten:
            self._unwritten = self._unwritten[self._file.write(self._unwritten) :]
