"""The process that uploads a run's event log to W&B: `python -m rdc_sweeps.tracking.uploader RUN_FOLDER online`.

Training never talks to W&B itself. With `--live` this process follows the log of a training process until training
ends; otherwise it sends the current log and exits. With `--partial` the run continues elsewhere, and stays open at W&B.
It first asks the server which steps it has and sends only the others, so it is safe to repeat. Online, one process at a
time sends a run (see `lease`).

Each process runs one W&B session in one mode. It reports the outcome by its exit code, and its parent decides what to
do next.
"""

import argparse
import enum
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rdc_sweeps.errors import DamagedError, EventLogError, RunLockedError, UnavailableError, UsageError
from rdc_sweeps.processes.children import end_with_process
from rdc_sweeps.processes.signals import ignore_stop_signals
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import Event, EventReader, last_event
from rdc_sweeps.runs.records import Result
from rdc_sweeps.tracking.history import History
from rdc_sweeps.tracking.identity import Identity
from rdc_sweeps.tracking.lease import lease
from rdc_sweeps.tracking.mode import Mode
from rdc_sweeps.tracking.session import Session

REASON = "reason: "
"""Prefix of the output line that says why an upload failed."""

POLL_SECONDS = 0.5

RESULT_SECONDS = 5.0
"""Seconds to wait for a run's result after the end of its log, if its worker cannot be waited for."""

# `WANDB_*` variables of an enclosing W&B run, agent or sweep, which would make this session part of it.
FOREIGN = (
    "SERVICE",
    "RUN_ID",
    "RESUME",
    "RESUME_FROM",
    "FORK_FROM",
    "SWEEP_ID",
    "SWEEP_PARAM_PATH",
    "LAUNCH",
    "DISABLED",
)


class Exit(enum.IntEnum):
    """How an upload ended."""

    COMPLETE = 0
    CRASHED = 1
    UNREACHABLE = 75
    INCOMPLETE = 76
    BUSY = 77


class GuardedStream:
    """A text stream that redacts API keys and detects when W&B gives up."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._secrets = [value for name, value in environ.items() if name.endswith(("API_KEY", "_TOKEN")) and value]
        self.gave_up = False

    def write(self, text: str) -> int:
        """Write text with keys redacted."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        # The library reports this nowhere else. If it is missed, the next upload still sends the lost steps.
        self.gave_up |= "Fatal error while uploading data" in text
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush the underlying stream."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Always false, so that W&B never prompts."""
        return False


def follow(path: Path, *, live: bool) -> Iterator[Event]:
    """The events of a log; with `live`, also future ones, until the worker that writes it ends."""
    with EventReader(path) as reader:
        while True:
            for event in reader.read():
                yield event
                if live and event["kind"] == "end":
                    return
            if not live:
                return
            time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Upload:
    """The parameters of one upload."""

    run: RunDirectory
    mode: Mode
    trainer: int | None = None
    """The training process to follow; None to send the current log and exit."""
    partial: bool = False
    """The run continues elsewhere."""
    init_timeout: float = 30.0
    finish_timeout: float = 300.0


def upload(job: Upload) -> Exit:
    """Run one session from `wandb.init` to the end of the log."""
    stream = GuardedStream(sys.stderr, os.environ)
    sys.stdout = sys.stderr = stream
    for name in FOREIGN:
        os.environ.pop(f"WANDB_{name}", None)
    os.environ |= {"WANDB_DATA_DIR": str(job.run.wandb / "data"), "WANDB_ERROR_REPORTING": "false"}
    identity = Identity.load(job.run.wandb)
    try:
        # A live session can wait, since the log keeps everything.
        patience = 0.0 if job.trainer is None else float("inf")
        with lease(job.run.wandb, patience) if job.mode == "online" else nullcontext():
            return _send(job, identity, stream)
    except RunLockedError as error:
        _say(str(error))
        return Exit.BUSY


def _send(job: Upload, identity: Identity, stream: GuardedStream) -> Exit:
    # The run may have ended since the caller checked.
    partial = job.partial and not _has_ended(job.run)
    try:
        session = Session(
            job.run,
            identity,
            job.mode,
            init_timeout=job.init_timeout,
            finish_timeout=job.finish_timeout,
            trainer=job.trainer,
            partial=partial,
        )
    except Exception as error:
        _say(f"{type(error).__name__}: {error}")
        return Exit.UNREACHABLE
    history, rows = History(), 0
    for event in follow(job.run.events, live=job.trainer is not None):
        if row := history.add(event):
            session.send(row)
            rows += 1
    result = _awaited_result(job) if history.ended == "done" else None
    # A worker that died logged no end; one that died before writing its result was not done.
    state = "failed" if history.ended is None or (history.ended == "done" and result is None) else history.ended
    try:
        if partial:
            session.pause()
        else:
            session.finish(history.pending, state, result)
    except TimeoutError:
        _say("the upload did not finish in time")
        return Exit.INCOMPLETE
    whole = state == "done" and not partial and history.pending is not None
    try:
        missing = "W&B gave up" if stream.gave_up else session.missing(rows + whole, ended=not partial)
    except UnavailableError as error:
        missing = str(error)
    if missing is not None:
        _say(missing)
        return Exit.INCOMPLETE
    end = history.pending.step + whole if history.pending else 0
    session.confirm(end, history.events, ended=not partial)
    return Exit.COMPLETE


def _has_ended(run: RunDirectory) -> bool:
    last = last_event(run.events)
    return last is not None and last["kind"] == "end"


def _awaited_result(job: Upload) -> Result | None:
    """Wait for the result of a run, which is written right after the end of its log; as long as its worker lives."""
    deadline = time.monotonic() + RESULT_SECONDS if job.trainer is None else float("inf")
    while (result := job.run.result()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return result


def _say(reason: str) -> None:
    print(f"{REASON}{' '.join(reason.split())}", file=sys.stderr)


def main() -> int:
    """Parse the command line and upload."""
    parser = argparse.ArgumentParser(prog="python -m rdc_sweeps.tracking.uploader", description="Send a run to W&B.")
    parser.add_argument("folder", type=Path, help="a run's folder")
    parser.add_argument("mode", choices=["online", "offline"])
    parser.add_argument("--live", type=int, metavar="PID", help="follow the training of this process to its end")
    parser.add_argument("--partial", action="store_true", help="the run continues elsewhere: leave it open")
    parser.add_argument("--init-timeout", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--finish-timeout", type=float, default=300.0, metavar="SECONDS")
    given = parser.parse_args()
    if given.live is not None:
        # The training process handles signals that are sent to the whole job.
        ignore_stop_signals()
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        # A killed run sends nothing more until it is resumed.
        end_with_process(given.live, Exit.CRASHED)
    folder = given.folder.absolute()
    job = Upload(
        RunDirectory(folder.parent, folder.name),
        given.mode,
        trainer=given.live,
        partial=given.partial,
        init_timeout=given.init_timeout,
        finish_timeout=given.finish_timeout,
    )
    try:
        return upload(job)
    except (UsageError, EventLogError, DamagedError) as error:
        _say(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
