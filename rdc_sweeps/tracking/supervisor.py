"""Starts, restarts, waits for and stops the uploader process."""

import os
import subprocess
import time
from collections.abc import Callable

from rdc_sweeps.errors import RunLockedError, UnavailableError, UsageError
from rdc_sweeps.processes.environment import PYTHON_COMMAND, program_environment
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import FORMER_LOG, last_event
from rdc_sweeps.tracking.identity import Identity
from rdc_sweeps.tracking.session import Server
from rdc_sweeps.tracking.uploader import REASON, Exit

RESTARTS = 3
"""How many times the uploader is started at most, if it keeps crashing."""

LOG = "uploader.log"

BEGIN = "--- an upload begins"
"""Line of the log."""


class Supervisor:
    """The uploader process of one session, restarted or switched to another mode depending on its exit code.

    Args:
        run: The run, which this process trains.
        mode: online or offline.
        init_timeout: Timeout of `wandb.init` in seconds.
        finish_timeout: Timeout of the final upload in seconds.
        warn: Receives each warning as a line.
    """

    def __init__(
        self,
        run: RunDirectory,
        mode: str,
        *,
        init_timeout: float,
        finish_timeout: float,
        warn: Callable[[str], object],
    ) -> None:
        self._run, self._wanted = run, mode
        self._init_timeout, self._finish_timeout = init_timeout, finish_timeout
        self._warn = warn
        self._starts = 0
        self._process = self._start(mode)

    def supervise(self) -> None:
        """Restart the process if it ended before the run did."""
        code = self._process.poll()
        if code is None or self._starts > RESTARTS:
            return
        if code == Exit.UNREACHABLE and self._mode == "online":
            self._warn(f"W&B cannot be used ({_last_reason(self._run)}); tracking offline in {self._run.wandb}")
            self._process = self._start("offline")
        elif self._starts == RESTARTS:
            self._starts += 1
            self._warn(f"the W&B uploader keeps failing ({_last_reason(self._run)}); {self._remedy()}")
        else:
            self._process = self._start(self._mode)

    def finish(self, seconds: float, *, last_attempt: bool) -> None:
        """Wait for the process to send the rest, and kill it after `seconds`.

        With `last_attempt`, W&B is tried once more if it was unreachable when the session started.
        """
        deadline = time.monotonic() + seconds
        fell_back = self._mode != self._wanted
        while (code := self._wait(deadline)) not in {Exit.COMPLETE, Exit.INCOMPLETE, None}:
            before = self._process
            self.supervise()
            if self._process is before:
                return
        if fell_back and last_attempt:
            self._process = self._start(self._wanted)
            code = self._wait(deadline)
        if code != Exit.COMPLETE or self._mode != self._wanted:
            self._warn(f"the upload to W&B is incomplete; {self._remedy()}")

    def kill(self) -> None:
        """Kill the process if it is still running."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _start(self, mode: str) -> subprocess.Popen[bytes]:
        self._mode = mode
        self._starts += 1
        options = [f"--init-timeout={self._init_timeout}", f"--finish-timeout={self._finish_timeout}"]
        return _start(self._run, mode, "--live", str(os.getpid()), *options)

    def _wait(self, deadline: float) -> int | None:
        try:
            return self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def _remedy(self) -> str:
        return f"nothing is lost; send the rest later with: rdc-sweep sync {self._run.id}"


def upload(
    run: RunDirectory, *, in_progress: bool = False, init_timeout: float = 30.0, finish_timeout: float = 300.0
) -> None:
    """Send whatever W&B lacks of a tracked run. It is safe to repeat.

    Args:
        run: The run.
        in_progress: A worker is training it: send what there is, and leave it open at W&B.
        init_timeout: Timeout of `wandb.init` in seconds.
        finish_timeout: Timeout of the final upload in seconds.

    Raises:
        UsageError: The run was not tracked, or was tracked by an earlier version.
        RunLockedError: Another process is sending the run, such as the one on the node that trains it.
        UnavailableError: W&B cannot be reached, or the upload did not finish in time.
    """
    Identity.load(run.wandb)
    if not run.events.exists() and (run.folder / FORMER_LOG).exists():
        raise UsageError(f"{run.folder}: was tracked by an earlier version of rdc-sweeps; use that version to send it")
    options = [f"--init-timeout={init_timeout}", f"--finish-timeout={finish_timeout}"]
    process = _start(run, "online", *options, *(["--partial"] if in_progress else []))
    try:
        code = process.wait(init_timeout + finish_timeout + 30.0)
    except subprocess.TimeoutExpired:
        code = Exit.INCOMPLETE
    finally:
        process.kill()
        process.wait()
    if code == Exit.BUSY:
        raise RunLockedError(_last_reason(run))
    if code != Exit.COMPLETE:
        raise UnavailableError(
            f"{run.folder}: sending to W&B failed ({_last_reason(run)}); repeat the command to continue"
        )


def is_sent(run: RunDirectory, *, in_progress: bool) -> bool:
    """Whether the whole event log was sent, including how the run ended if it has; does not contact the server."""
    last, known = last_event(run.events), Server.load(run.wandb)
    return last is not None and known.events == last["sequence"] + 1 and (known.ended or in_progress)


def _start(run: RunDirectory, mode: str, *options: str) -> subprocess.Popen[bytes]:
    with (run.wandb / LOG).open("ab") as output:
        output.write(f"{BEGIN}\n".encode())
        output.flush()
        return subprocess.Popen(
            [*PYTHON_COMMAND, "-m", "rdc_sweeps.tracking.uploader", str(run.folder.absolute()), mode, *options],
            env=program_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _last_reason(run: RunDirectory) -> str:
    """The reason that the latest upload logged, or where to look."""
    latest = (run.wandb / LOG).read_text(errors="replace").rpartition(BEGIN)[2]
    lines = reversed(latest.splitlines())
    reason = next((line.removeprefix(REASON) for line in lines if line.startswith(REASON)), f"see {run.wandb / LOG}")
    return reason[:300]
