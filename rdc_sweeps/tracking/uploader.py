"""The process that hands a run's journal to W&B: `python -m rdc_sweeps.tracking.uploader RUN/wandb online`.

Training never talks to W&B itself. With `--live` this process follows the journal of a training process until that says
how it ended; without, it sends what the journal holds and ends. With `--partial` the run goes on elsewhere, and stays
open at W&B. Each time the server is asked first which steps it has, and gets only the others, so repeating it is
harmless. Online, one process at a time sends a run (see `lease`).

It holds one W&B session in one mode. The exit code says how that went, and whoever started it decides what comes next.
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

from rdc_sweeps.errors import RunLockedError, UsageError
from rdc_sweeps.processes.children import end_with_process
from rdc_sweeps.tracking.identity import Identity
from rdc_sweeps.tracking.journal import JOURNAL, Event, Rows, has_ended, read
from rdc_sweeps.tracking.lease import lease
from rdc_sweeps.tracking.mode import Mode
from rdc_sweeps.tracking.session import Session

REASON = "reason: "
"""Begins the line of output that says why an upload failed."""

POLL_SECONDS = 0.5

# Left over from an enclosing W&B run, agent or sweep, these would turn this session into part of that.
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


class Log:
    """A text stream that keeps keys out of what passes through it and notices when W&B gives up."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._secrets = [value for name, value in environ.items() if name.endswith(("API_KEY", "_TOKEN")) and value]
        self.gave_up = False

    def write(self, text: str) -> int:
        """Pass text on."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        # The library tells this nowhere else; without the line the loss would still be mended by the next upload.
        self.gave_up |= "Fatal error while uploading data" in text
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream behind."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Never, so that nobody asks anything."""
        return False


def follow(path: Path, live_from: int | None) -> Iterator[tuple[Event, int]]:
    """The events of a journal, each with the offset at which it ends.

    With `live_from`, also those to come, up to the end of the session that began there.
    """
    position = 0
    while True:
        for event, end in read(path, position):
            position = end
            yield event, end
            if live_from is not None and event["kind"] == "finish" and end > live_from:
                return
        if live_from is None:
            return
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Job:
    """What one upload is to do."""

    folder: Path
    mode: Mode
    live_from: int | None = None
    """Journal offset at which the live session begins; None to send what is there."""
    trainer: int | None = None
    """The process that trains, if it is on this machine."""
    partial: bool = False
    """The run goes on elsewhere."""
    init_timeout: float = 30.0
    finish_timeout: float = 300.0


def upload(job: Job) -> Exit:
    """Run one session from `wandb.init` to the end of the journal."""
    log = Log(sys.stderr, os.environ)
    sys.stdout = sys.stderr = log
    for name in FOREIGN:
        os.environ.pop(f"WANDB_{name}", None)
    os.environ |= {"WANDB_DATA_DIR": str(job.folder / "data"), "WANDB_ERROR_REPORTING": "false"}
    identity = Identity.load(job.folder)
    try:
        # A live session may wait: the journal keeps everything meanwhile.
        patience = 0.0 if job.live_from is None else float("inf")
        with lease(job.folder, patience) if job.mode == "online" else nullcontext():
            return _send(job, identity, log)
    except RunLockedError as error:
        _say(str(error))
        return Exit.BUSY


def _send(job: Job, identity: Identity, log: Log) -> Exit:
    # It may have ended since somebody looked.
    partial = job.partial and not has_ended(job.folder / JOURNAL)
    try:
        session = Session(
            job.folder,
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
    rows, state, sent = Rows(), "failed", 0
    for event, offset in follow(job.folder / JOURNAL, job.live_from):
        sent = offset
        if event["kind"] == "finish":
            state = event["state"]
        if row := rows.add(event):
            session.send(row)
    try:
        if partial:
            session.pause()
        else:
            session.finish(rows, state)
    except TimeoutError:
        return Exit.INCOMPLETE
    if log.gave_up:
        return Exit.INCOMPLETE
    end = rows.pending.step + (state == "done" and not partial) if rows.pending else 0
    session.confirm(end, sent, ended=not partial)
    return Exit.COMPLETE


def _say(reason: str) -> None:
    print(f"{REASON}{' '.join(reason.split())}", file=sys.stderr)


def main() -> int:
    """Parse the command line and upload."""
    parser = argparse.ArgumentParser(prog="python -m rdc_sweeps.tracking.uploader", description="Send a run to W&B.")
    parser.add_argument("folder", type=Path, help="the wandb folder of a run directory")
    parser.add_argument("mode", choices=["online", "offline"])
    parser.add_argument(
        "--live",
        type=int,
        nargs=2,
        metavar=("OFFSET", "PID"),
        help="follow the session of a process from this offset on",
    )
    parser.add_argument("--partial", action="store_true", help="the run goes on elsewhere: leave it open")
    parser.add_argument("--init-timeout", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--finish-timeout", type=float, default=300.0, metavar="SECONDS")
    given = parser.parse_args()
    live_from, trainer = given.live or (None, None)
    if trainer is not None:
        # The training process decides what a signal to the whole job means.
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(name, signal.SIG_IGN)
        # A killed run sends nothing more until it is resumed.
        end_with_process(trainer, Exit.CRASHED)
    job = Job(
        given.folder.absolute(),
        given.mode,
        live_from=live_from,
        trainer=trainer,
        partial=given.partial,
        init_timeout=given.init_timeout,
        finish_timeout=given.finish_timeout,
    )
    try:
        return upload(job)
    except UsageError as error:
        _say(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
