"""The observer that has a run's event log uploaded to W&B, without ever stopping, slowing or failing the run."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.states import WorkerEnd
from rdc_sweeps.specs.training import TrainingLength
from rdc_sweeps.tracking.identity import Identity
from rdc_sweeps.tracking.mode import Mode
from rdc_sweeps.tracking.supervisor import Supervisor

if TYPE_CHECKING:
    from rdc_sweeps.training.observers import EpochRecord, Panel

log = logging.getLogger(__name__)

PREEMPTED_SECONDS = 10.0
"""Seconds that a preempted run waits for its upload."""

GRACE_SECONDS = 10.0
"""Seconds beyond W&B's own finish timeout before the uploader is killed."""


class Tracker:
    """Tracks one run: starts the uploader once the log exists, and restarts it if it dies.

    The recorder must come before it in the list of observers, so that events are logged before they are to be sent. No
    call raises because of W&B or its folder: such errors become warnings, and the run continues.

    Args:
        run: The run, which this process trains.
        identity: Its identity at W&B.
        mode: online, offline or disabled. Online falls back to offline if W&B cannot be used.
        init_timeout: Seconds to wait for W&B before falling back.
        finish_timeout: Seconds that `finish` waits for the rest of the upload.
        warn: Receives each warning as a line.
    """

    def __init__(
        self,
        run: RunDirectory,
        identity: Identity,
        mode: Mode,
        *,
        init_timeout: float = 30.0,
        finish_timeout: float = 60.0,
        warn: Callable[[str], object] = log.warning,
    ) -> None:
        self._run, self._identity, self._mode = run, identity, mode
        self._init_timeout, self._finish_timeout = init_timeout, finish_timeout
        self._warn = warn
        self._uploader: Supervisor | None = None

    def started(self, step: int, length: TrainingLength) -> None:
        """Start the uploader."""
        if self._mode != "disabled":
            self._guarded(self._start)

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Restart the uploader if it died."""
        self._guarded(self._supervise)

    def evaluated(self, record: "EpochRecord", step: int, panels: "Sequence[Panel]") -> None:
        """Restart the uploader if it died."""
        self._guarded(self._supervise)

    def finish(self, state: WorkerEnd) -> None:
        """Wait about `finish_timeout` at most for the upload to finish; how the run ended is read from the log."""
        self._guarded(lambda: self._finish(state))
        self.kill()

    def kill(self) -> None:
        """Kill the uploader: another process has taken over the run, or nothing is left to send."""
        if self._uploader is not None:
            self._uploader.kill()
            self._uploader = None

    def _start(self) -> None:
        self._identity.save(self._run.wandb)
        self._uploader = Supervisor(
            self._run,
            self._mode,
            init_timeout=self._init_timeout,
            finish_timeout=self._finish_timeout,
            warn=self._warn,
        )

    def _supervise(self) -> None:
        if self._uploader is not None:
            self._uploader.supervise()

    def _finish(self, state: str) -> None:
        if self._uploader is None:
            return
        if state == "preempted":
            # The machine is about to be reclaimed, and the next worker sends the rest.
            self._uploader.finish(min(self._finish_timeout, PREEMPTED_SECONDS), last_attempt=False)
        else:
            self._uploader.finish(self._finish_timeout + GRACE_SECONDS, last_attempt=True)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            # No tracking error (a full disk, an unwritable folder) is worth losing the run.
            self._warn(f"tracking of {self._run.id} stopped: {type(error).__name__}: {error}")
            self.kill()
