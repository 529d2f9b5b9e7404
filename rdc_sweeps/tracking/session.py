"""One W&B session of a run: sends rows, and tracks what the server already has."""

import json
import os
import re
import shutil
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from rdc_sweeps.files import write_json
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.runs.records import Result
from rdc_sweeps.runs.states import WorkerEnd
from rdc_sweeps.tracking.history import HistoryRow
from rdc_sweeps.tracking.identity import Identity
from rdc_sweeps.tracking.keys import EPOCH, of_picture, of_selection
from rdc_sweeps.tracking.mode import Mode
from rdc_sweeps.tracking.project import open_project

SERVER = "server.json"

STORED_SECONDS = 10.0
"""How long the server may take to tell of what it has just been sent."""

OPEN_STATES = (None, "pending", "running", "preempting", "crashed")
"""Of a run at W&B whose end it does not know; a run counts as crashed after some minutes without news."""

STORED = """
query RdcStored($entity: String!, $project: String!, $run: String!) {
    project(name: $project, entityName: $entity) { run(name: $run) { historyLineCount state } }
}
"""


@dataclass(frozen=True)
class Server:
    """What the server is known to have: every row before step `rows` and every image before step `pictures`.

    Rows and images are uploaded separately, so a killed session may leave a row whose images are missing.
    """

    rows: int = 0
    pictures: int = 0
    events: int = 0
    """Number of events of the log that were sent."""
    ended: bool = False
    """Whether the server knows how the run ended."""

    def save(self, folder: Path) -> None:
        """Write it to the W&B folder of a run."""
        write_json(folder / SERVER, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it; if it was never written, assume the server has nothing."""
        try:
            return cls(**json.loads((folder / SERVER).read_text()))
        except (OSError, ValueError, TypeError):
            return cls()


class Session:
    """A W&B run object, and what has been sent to it.

    Args:
        run: The run.
        identity: Its identity at W&B.
        mode: online or offline.
        init_timeout: Timeout of `wandb.init` in seconds.
        finish_timeout: Timeout of the final upload in seconds.
        trainer: Process whose resource usage W&B records; None if the run is not training on this machine.
        partial: The run continues elsewhere: leave it open at W&B, and keep its offline session.
    """

    def __init__(
        self,
        run: RunDirectory,
        identity: Identity,
        mode: Mode,
        *,
        init_timeout: float,
        finish_timeout: float,
        trainer: int | None,
        partial: bool = False,
    ) -> None:
        import wandb

        self._directory, self._wandb = run, wandb
        settings = wandb.Settings(
            root_dir=str(run.folder),
            use_dot_wandb=False,
            console="off",
            # Otherwise it first requests the user's name, which takes 10 s during an outage.
            quiet=True,
            init_timeout=init_timeout,
            finish_timeout=finish_timeout,
            finish_timeout_raises=True,
            allow_val_change=True,
            # The user's code, repository and package list stay private: the run directory has what is needed.
            save_code=False,
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            x_save_requirements=False,
            # The machine that sends a run later is not the one that trained it.
            x_disable_stats=trainer is None,
            x_disable_machine_info=trainer is None,
            x_stats_pid=trainer or os.getpid(),
            x_update_finish_state=not partial,
            # The files of a killed process should be complete up to the last second.
            x_transaction_log_flush_interval=1.0,
            # By default the stop button would interrupt this process, not the training.
            stop_fn=lambda: print("W&B asked to stop the run: ignored", file=sys.stderr),
        )
        earlier = _session_folders(run.wandb)
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
        self._online = mode == "online"
        self._over_epochs: set[str] = set()
        self._server = Server.load(run.wandb)
        if self._online:
            # The run is open again at W&B: what is sent counts once this session has confirmed it.
            self._server = replace(self._server, rows=self._run.starting_step, events=0, ended=False)
        elif any(any(session.glob("*.wandb.synced")) for session in earlier):
            # Somebody ran `wandb sync` on an earlier offline session.
            steps = (event["step"] for event in read_events(run.events))
            self._server = replace(self._server, rows=max(steps, default=0))
        self._server.save(run.wandb)
        # Remove earlier sessions: this one has everything they have, and `wandb sync` would append their data a second
        # time. But while a run is tracked offline on its node, another process may be sending it online from elsewhere;
        # neither removes the other's session.
        for old in earlier:
            if not partial if old.name.startswith("offline-") else self._online:
                shutil.rmtree(old, ignore_errors=True)

    def send(self, row: HistoryRow) -> None:
        """Log a row, or only the part of it that the server may lack."""
        for key in row.epoch_keys - self._over_epochs:
            self._run.define_metric(key, step_metric=EPOCH)
            self._over_epochs.add(key)
        if row.step >= self._server.rows:
            self._run.log({**row.values, **self._images(row)}, step=row.step, commit=True)
        elif self._online and row.step >= self._server.pictures:
            # The row already refers to these files: their names are determined by key, step and content.
            for key, image in self._images(row).items():
                image.bind_to_run(self._run, key, row.step)

    def finish(self, pending: HistoryRow | None, state: WorkerEnd, result: Result | None) -> None:
        """Send the rest and wait for the upload.

        Args:
            pending: The last row; if the run is not done, it appears only in the summary.
            state: How the run ended.
            result: The result, if the run is done.

        Raises:
            TimeoutError: The upload did not finish in time.
        """
        if pending and state == "done":
            self.send(pending)
        elif pending:
            self._run.summary.update(pending.values)
        if result is not None:
            self._run.summary.update(summary_values(result))
        if state == "preempted":
            self._run.mark_preempting()
        self._run.finish(exit_code=0 if state == "done" else 1)

    def pause(self) -> None:
        """Wait for the upload, and leave the run open at W&B.

        Raises:
            TimeoutError: The upload did not finish in time.
        """
        self._run.finish()

    def missing(self, rows: int, *, ended: bool) -> str | None:
        """What the server lacks of so many rows and, if `ended`, of the news that the run is over; None for nothing.

        The library does not always tell when the server has refused the last part of an upload. Offline, nothing was
        sent and there is nothing to ask.

        Raises:
            UnavailableError: The server does not answer.
        """
        if not self._online:
            return None
        place = {"entity": self._run.entity, "project": self._run.project, "run": self._run.id}
        deadline = time.monotonic() + STORED_SECONDS
        with open_project(self._run.project, self._run.entity) as project:
            while True:
                stored = (project.execute(STORED, place).get("project") or {}).get("run") or {}
                # Of a run without rows, and of one that is not there, they may be missing.
                found, state = stored.get("historyLineCount") or 0, stored.get("state")
                if found >= rows and not (ended and state in OPEN_STATES):
                    return None
                if time.monotonic() > deadline:
                    return f"W&B has {found} of {rows} rows, and says that the run is {state}"
                time.sleep(0.5)

    def confirm(self, end: int, events: int, *, ended: bool) -> None:
        """Record that the server has everything before step `end`, and how many events of the log were sent."""
        if self._online:
            Server(end, end, events, ended).save(self._directory.wandb)

    def _images(self, row: HistoryRow) -> dict[str, Any]:
        paths = {title: self._directory.folder / name for title, name in row.panels.items()}
        return {
            of_picture(title): self._wandb.Image(str(path), caption=title)
            for title, path in paths.items()
            if path.is_file()
        }


def summary_values(result: Result) -> dict[str, float]:
    """Summary values: the test metrics of each selection rule's epoch, and figures of the whole run."""
    figures: dict[str, float] = {"seconds": result.seconds, "parameters": result.parameters}
    for rule, selected in result.selected.items():
        if selected is not None:
            figures[of_selection(rule, EPOCH)] = selected.epoch
            metrics = selected.metrics.items()
            figures.update({of_selection(rule, name): value for name, value in metrics if value is not None})
    return figures


def _session_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if re.match(r"(offline-)?run-\d{8}_\d{6}", path.name))
