"""The process that hands a run's journal to W&B: `python -m rdc_sweeps.tracking.uploader RUN/wandb online`.

Training never talks to W&B itself. With `--live` this process follows the journal of a training process until that says
how it ended; without, it sends what the journal holds and ends. Either way the server is asked first which steps it
has, and gets only the others, so repeating it is harmless.

It holds one W&B session in one mode. The exit code says how that went, and whoever started it decides what comes next.
"""

import argparse
import enum
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from rdc_sweeps.errors import UsageError
from rdc_sweeps.tracking.identity import Identity
from rdc_sweeps.tracking.journal import JOURNAL, Event, Row, Rows, last_step, read
from rdc_sweeps.tracking.mode import Mode

SERVER_STEP = "server_step"
REASON = "reason: "
"""Begins the line of output that says why an upload failed."""

POLL_SECONDS = 0.2

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


class Session:
    """One W&B run object and what it has been given.

    Args:
        folder: The `wandb` folder of the run.
        mode: online or offline.
        init_timeout: Seconds that `wandb.init` may take.
        finish_timeout: Seconds that the last upload may take.
        trainer: Process whose use of the machine W&B records.
    """

    def __init__(
        self, folder: Path, identity: Identity, mode: Mode, *, init_timeout: float, finish_timeout: float, trainer: int
    ) -> None:
        import wandb

        self._folder, self._wandb = folder, wandb
        settings = wandb.Settings(
            root_dir=str(folder.parent),
            use_dot_wandb=False,
            console="off",
            init_timeout=init_timeout,
            finish_timeout=finish_timeout,
            finish_timeout_raises=True,
            allow_val_change=True,
            # The user's code, repository and package list are theirs: the run directory has what is needed.
            save_code=False,
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            x_save_requirements=False,
            x_stats_pid=trainer,
            # What a killed process leaves behind should be complete up to the last second.
            x_transaction_log_flush_interval=1.0,
            # By default a stop button would interrupt this process, not the training.
            stop_fn=lambda: print("W&B asked to stop the run: ignored", file=sys.stderr),
        )
        earlier = _session_folders(folder)
        self._run = wandb.init(
            id=identity.run_id,
            project=identity.project,
            entity=identity.entity,
            group=identity.group,
            job_type=identity.job_type,
            name=identity.name,
            tags=identity.tags,
            config=dict(identity.config),
            mode=mode,
            # Offline, `resume` would make a later `wandb sync` renumber the steps.
            resume="allow" if mode == "online" else None,
            settings=settings,
        )
        self._define_epochs: set[str] = set()
        self.first_step = self._run.starting_step if mode == "online" else _server_step(folder, earlier)
        (folder / SERVER_STEP).write_text(f"{self.first_step}\n")
        # This session holds all that they do. Left here, `wandb sync` would append them a second time.
        for old in earlier:
            shutil.rmtree(old, ignore_errors=True)

    def send(self, row: Row) -> None:
        """Log a row, unless the server has its step."""
        for key in row.epoch_keys - self._define_epochs:
            self._run.define_metric(key, step_metric="epoch")
            self._define_epochs.add(key)
        if row.step < self.first_step:
            return
        images = {f"panels/{title}": self._image(title, name) for title, name in row.panels.items()}
        self._run.log(
            {**row.values, **{key: image for key, image in images.items() if image}}, step=row.step, commit=True
        )

    def finish(self, rows: Rows, state: str) -> None:
        """Send what is left and wait for the upload.

        Raises:
            TimeoutError: The server did not take everything in time.
        """
        if rows.pending and state == "done":
            self.send(rows.pending)
        elif rows.pending:
            self._run.summary.update(rows.pending.values)
        self._run.summary.update(rows.summary)
        if state == "preempted":
            self._run.mark_preempting()
        self._run.finish(exit_code=0 if state == "done" else 1)

    def _image(self, title: str, name: str) -> Any:
        path = self._folder / name
        return self._wandb.Image(str(path), caption=title) if path.is_file() else None


def _session_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if re.match(r"(offline-)?run-\d{8}_\d{6}", path.name))


def _server_step(folder: Path, sessions: list[Path]) -> int:
    """The first step that the server may lack, as far as is known without asking it."""
    if any(any(session.glob("*.wandb.synced")) for session in sessions):
        # Somebody ran `wandb sync` on what an earlier offline session had written.
        return max(0, last_step(read(folder / JOURNAL)))
    try:
        return int((folder / SERVER_STEP).read_text())
    except (OSError, ValueError):
        return 0


def follow(path: Path, live_from: int | None) -> Iterator[Event]:
    """The events of a journal; with `live_from`, also those to come, up to the end of the session that began there."""
    position = 0
    while True:
        for event, end in read(path, position):
            position = end
            yield event
            if live_from is not None and event["kind"] == "finish" and end > live_from:
                return
        if live_from is None:
            return
        time.sleep(POLL_SECONDS)


def _die_with(parent: int) -> None:
    """End this process once its parent is gone: a killed run sends nothing more until it is resumed."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(Exit.CRASHED)


def upload(folder: Path, mode: Mode, *, live_from: int | None, init_timeout: float, finish_timeout: float) -> Exit:
    """Run one session from `wandb.init` to the end of the journal."""
    log = Log(sys.stderr, os.environ)
    sys.stdout = sys.stderr = log
    for name in FOREIGN:
        os.environ.pop(f"WANDB_{name}", None)
    os.environ |= {"WANDB_DATA_DIR": str(folder / "data"), "WANDB_ERROR_REPORTING": "false"}
    identity = Identity.load(folder)
    trainer = os.getpid() if live_from is None else os.getppid()
    try:
        session = Session(
            folder, identity, mode, init_timeout=init_timeout, finish_timeout=finish_timeout, trainer=trainer
        )
    except Exception as error:
        print(f"{REASON}{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return Exit.UNREACHABLE
    rows, state = Rows(), "failed"
    for event in follow(folder / JOURNAL, live_from):
        if event["kind"] == "finish":
            state = event["state"]
        if row := rows.add(event):
            session.send(row)
    try:
        session.finish(rows, state)
    except TimeoutError:
        return Exit.INCOMPLETE
    return Exit.INCOMPLETE if log.gave_up else Exit.COMPLETE


def main() -> int:
    """Parse the command line and upload."""
    parser = argparse.ArgumentParser(prog="python -m rdc_sweeps.tracking.uploader", description="Send a run to W&B.")
    parser.add_argument("folder", type=Path, help="the wandb folder of a run directory")
    parser.add_argument("mode", choices=["online", "offline"])
    parser.add_argument("--live", type=int, metavar="OFFSET", help="follow the session that begins at this offset")
    parser.add_argument("--init-timeout", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--finish-timeout", type=float, default=300.0, metavar="SECONDS")
    given = parser.parse_args()
    if given.live is not None:
        # The training process decides what a signal to the whole job means.
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(name, signal.SIG_IGN)
        threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    try:
        return upload(
            given.folder.absolute(),
            given.mode,
            live_from=given.live,
            init_timeout=given.init_timeout,
            finish_timeout=given.finish_timeout,
        )
    except UsageError as error:
        print(f"{REASON}{error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
