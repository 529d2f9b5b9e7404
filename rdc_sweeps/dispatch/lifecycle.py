"""A run in one process, from its acquisition to its end; everything that happens is recorded in its directory.

Imports no torch: the training is a callable, and simulations pass another.
"""

import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable
from typing import Literal

from rdc_sweeps.errors import (
    DamagedError,
    InfrastructureError,
    LostRunError,
    RdcError,
    RunLockedError,
    infrastructure_cause,
)
from rdc_sweeps.processes.signals import stop_signals_set
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.owned import OwnedRun, acquire
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.runs.records import Attempt, Failure, Result, slurm_job
from rdc_sweeps.runs.states import WorkerEnd, WorkerExit
from rdc_sweeps.settings import Settings

PATIENCE = 10.0
"""Seconds to wait for another owner, which may be about to end."""

STALE_PATIENCE = 600.0
"""Seconds to wait for an earlier process of the same Slurm job: no other job will start this run."""

PAUSE_BEATS, PAUSES = 10, (1, 2, 4, 8)
"""Heartbeats to wait before a retry, and their factors: a full disk or a server that restarts needs time."""

Stop = Callable[[], bool]
Body = Callable[[Recorder, Stop], Result | None]
"""Trains a run: reports to the recorder and asks at every step whether to stop. None if it stopped early.

It must save a checkpoint before it stops, and may raise anything."""

log = logging.getLogger(__name__)


def run_to_end(
    directory: RunDirectory,
    settings: Settings,
    body: Body,
    *,
    stop: threading.Event | None = None,
    device: str = "cpu",
    ended: Callable[[WorkerEnd], object] = lambda ending: None,
) -> WorkerExit:
    """Train a run to its end, or to a resumable state if a signal or `stop` requests that.

    Args:
        directory: The run; its spec is there.
        settings: Heartbeat interval, and maximum number of deaths in a row.
        body: Trains the run.
        stop: Set by a signal, a cancellation or the caller.
        device: Name of the device, for the heartbeat.
        ended: Called after the end is on disk, while the run is still owned.

    Returns:
        The exit code for the process.
    """
    stale = slurm_job() is not None and (status := directory.last_status()) is not None and status.job == slurm_job()
    try:
        with acquire(directory, STALE_PATIENCE if stale else PATIENCE) as run:
            if directory.result() is not None:
                return WorkerExit.DONE
            if directory.failure() is not None:
                # An earlier process failed; `forget_failure` allows another attempt.
                return WorkerExit.FAILED
            if directory.stopped() is not None:
                return WorkerExit.STOPPED
            return _Life(run, settings, body, stop or threading.Event(), device, ended).live()
    except LostRunError as error:
        log.warning("%s", error)
        return WorkerExit.LOCKED
    except DamagedError as error:
        # The state of the run says the same, until its records are moved aside.
        log.error("%s", error)
        return WorkerExit.FAILED
    except RunLockedError as error:
        log.warning("%s", error)
        return WorkerExit.RETRY if stale else WorkerExit.LOCKED
    except OSError as error:
        if infrastructure_cause(error) is None:
            raise
        # Nothing can be recorded, so nothing would count the attempts.
        log.exception("parked; the run is as it was")
        return WorkerExit.PARKED


class _Life:
    def __init__(
        self,
        run: OwnedRun,
        settings: Settings,
        body: Body,
        stop: threading.Event,
        device: str,
        ended: Callable[[WorkerEnd], object],
    ) -> None:
        self.run, self.directory = run, run.directory
        self.settings, self.body, self.stop, self.tell = settings, body, stop, ended
        self.deaths = run.directory.deaths()
        self.ended = threading.Event()
        self.lost: LostRunError | None = None
        self.recorder = Recorder(run, interval=settings.heartbeat, device=device)

    def live(self) -> WorkerExit:
        if self.deaths > self.settings.retries:
            return self._give_up()
        self.run.write_attempt(Attempt.now("start", progress=self.directory.progress()))
        heart = threading.Thread(target=self._beat, daemon=True, name="heartbeat")
        heart.start()
        try:
            with stop_signals_set(self.stop):
                result = self.body(self.recorder, self._asked_to_stop)
            return self._conclude(result)
        except LostRunError:
            raise
        except Exception as error:
            return self._fail(error)
        finally:
            self.ended.set()
            heart.join()
            self.recorder.close()

    def _beat(self) -> None:
        while not self.ended.wait(self.settings.heartbeat):
            try:
                self.recorder.beat()
                if not self.stop.is_set() and (stopped := self.directory.stopped()) is not None:
                    log.info("%s: %s", stopped.reason, stopped.detail)
                    self.stop.set()
            except LostRunError as error:
                self.lost = error
                return
            except (OSError, RdcError) as error:
                # The disk may be back at the next heartbeat.
                log.warning("heartbeat: %s", error)

    def _asked_to_stop(self) -> bool:
        if self.lost is not None:
            raise self.lost
        self.recorder.keep_in_touch()
        return self.stop.is_set()

    def _conclude(self, result: Result | None) -> WorkerExit:
        self.ended.set()
        if result is not None:
            # Only the owner may write a result, and a done run has its complete log.
            self.recorder.ended("done")
            self.run.write_result(result)
            self._end("done")
            return WorkerExit.DONE
        log.info("stopped at step %d; resumable", self.recorder.status.step)
        self._end("preempted")
        return WorkerExit.PREEMPTED if self.directory.stopped() is None else WorkerExit.STOPPED

    def _fail(self, error: Exception) -> WorkerExit:
        infrastructure = infrastructure_cause(error)
        # What other packages and data readers make of the error of a disk is misleading.
        cause = _one_line(infrastructure or error)
        if infrastructure is not None and self.deaths >= self.settings.retries:
            self.ended.set()
            log.error("parked until the next command: %s", cause, exc_info=error)
            self._end("parked", cause)
            return WorkerExit.PARKED
        if isinstance(infrastructure or error, InfrastructureError | OSError) and self.deaths < self.settings.retries:
            log.exception("will be tried again")
            self._pause()
            self.ended.set()
            self._end("retry", cause)
            return WorkerExit.RETRY
        self.ended.set()
        log.exception("failed")
        self._write_failure(cause, traceback.format_exc())
        return WorkerExit.FAILED

    def _pause(self) -> None:
        factor = PAUSES[min(self.deaths, len(PAUSES) - 1)]
        deadline = time.monotonic() + PAUSE_BEATS * self.settings.heartbeat * factor
        while time.monotonic() < deadline and not self.stop.is_set():
            time.sleep(min(0.1, self.settings.heartbeat))

    def _give_up(self) -> WorkerExit:
        attempts = self.directory.attempts()
        last = attempts[-1]
        how = last.cause or "no error was raised: it was killed (out of memory?), or its node went down"
        where = f"on {last.host}" + (f", Slurm job {last.job}" if last.job else "")
        cause = f"its worker died {self.deaths} times in a row before its next checkpoint, last {where}: {how}"
        log.error("%s", cause)
        self._write_failure(cause, f"{cause}\nThe output of the workers is in {self.directory.log}.\n")
        return WorkerExit.FAILED

    def _write_failure(self, cause: str, trace: str) -> None:
        failure = Failure(cause=cause, traceback=trace, time=time.time(), host=socket.gethostname())
        self.recorder.beat()  # only the owner may write a failure
        self.run.write_failure(failure)
        self._end("failed", cause)

    def _end(self, state: WorkerEnd | Literal["retry", "parked"], cause: str | None = None) -> None:
        ending: WorkerEnd = "preempted" if state == "retry" or state == "parked" else state
        attempt = Attempt.now("end", state=state, cause=cause)
        try:
            self._record_end(ending, attempt)
        except OSError as error:
            if infrastructure_cause(error) is None:
                raise
            self.run.free_reserve()
            self._record_end(ending, attempt)
        try:
            self.tell(ending)
        except Exception:
            # The end of the run is recorded; a failure to report it elsewhere is only logged.
            log.exception("after the end")

    def _record_end(self, ending: WorkerEnd, attempt: Attempt) -> None:
        self.recorder.ended(ending)
        self.run.write_attempt(attempt)


def _one_line(error: Exception) -> str:
    text = str(error) if isinstance(error, RdcError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
