"""One W&B session of a run: what it is given, and what the server has already."""

import json
import os
import re
import shutil
import sys
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
from rdc_sweeps.tracking.mode import Mode

SERVER = "server.json"


@dataclass(frozen=True)
class Server:
    """What is known of the server: it has every row before step `rows` and every picture before step `pictures`.

    Rows and pictures travel separately, so a killed session may leave a row there whose pictures are missing.
    """

    rows: int = 0
    pictures: int = 0
    events: int = 0
    """Events of the log that it was given."""
    ended: bool = False
    """Whether it knows how the run ended."""

    def save(self, folder: Path) -> None:
        """Write it to the W&B folder of a run."""
        write_json(folder / SERVER, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read it; nothing is known if it was never written."""
        try:
            return cls(**json.loads((folder / SERVER).read_text()))
        except (OSError, ValueError, TypeError):
            return cls()


class Session:
    """One W&B run object and what it has been given.

    Args:
        run: The run.
        identity: What it is called at W&B.
        mode: online or offline.
        init_timeout: Seconds that `wandb.init` may take.
        finish_timeout: Seconds that the last upload may take.
        trainer: Process whose use of the machine W&B records; None if the training is not on this machine.
        partial: The run goes on elsewhere: this session leaves it open, and its offline session alone.
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
            # Otherwise it asks for the name of the user first, and waits 10 s for that during an outage.
            quiet=True,
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
            # The machine that sends later is not the one that trained.
            x_disable_stats=trainer is None,
            x_disable_machine_info=trainer is None,
            x_stats_pid=trainer or os.getpid(),
            x_update_finish_state=not partial,
            # What a killed process leaves behind should be complete up to the last second.
            x_transaction_log_flush_interval=1.0,
            # By default a stop button would interrupt this process, not the training.
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
            self._server = replace(self._server, rows=self._run.starting_step)
        elif any(any(session.glob("*.wandb.synced")) for session in earlier):
            # Somebody ran `wandb sync` on what an earlier offline session had written.
            steps = (event["step"] for event in read_events(run.events))
            self._server = replace(self._server, rows=max(steps, default=0))
        self._server.save(run.wandb)
        # This session holds all that they do. Left here, `wandb sync` would append them a second time. But while a run
        # is tracked offline on its node, somebody may be sending it online from elsewhere; neither touches the other's.
        for old in earlier:
            if not partial if old.name.startswith("offline-") else self._online:
                shutil.rmtree(old, ignore_errors=True)

    def send(self, row: HistoryRow) -> None:
        """Log a row, or as much of it as the server may lack."""
        for key in row.epoch_keys - self._over_epochs:
            self._run.define_metric(key, step_metric="epoch")
            self._over_epochs.add(key)
        if row.step >= self._server.rows:
            self._run.log({**row.values, **self._images(row)}, step=row.step, commit=True)
        elif self._online and row.step >= self._server.pictures:
            # The row names these files, whose names follow from key, step and content.
            for key, image in self._images(row).items():
                image.bind_to_run(self._run, key, row.step)

    def finish(self, pending: HistoryRow | None, state: WorkerEnd, result: Result | None) -> None:
        """Send what is left and wait for the upload.

        Args:
            pending: The last row; of a run that is not done, only the summary shows it.
            state: How the run ended.
            result: Of a done run.

        Raises:
            TimeoutError: The server did not take everything in time.
        """
        if pending and state == "done":
            self.send(pending)
        elif pending:
            self._run.summary.update(pending.values)
        if result is not None:
            self._run.summary.update(_figures(result))
        if state == "preempted":
            self._run.mark_preempting()
        self._run.finish(exit_code=0 if state == "done" else 1)

    def pause(self) -> None:
        """Wait for the upload, and leave the run open at W&B.

        Raises:
            TimeoutError: The server did not take everything in time.
        """
        self._run.finish()

    def confirm(self, end: int, events: int, *, ended: bool) -> None:
        """Remember that the server took everything before step `end`, and so many events of the log."""
        if self._online:
            Server(end, end, events, ended).save(self._directory.wandb)

    def _images(self, row: HistoryRow) -> dict[str, Any]:
        paths = {title: self._directory.folder / name for title, name in row.panels.items()}
        return {
            f"panels/{title}": self._wandb.Image(str(path), caption=title)
            for title, path in paths.items()
            if path.is_file()
        }


def _figures(result: Result) -> dict[str, float]:
    """The test metrics of each rule's epoch, and figures of the run as a whole."""
    figures: dict[str, float] = {"seconds": result.seconds, "parameters": result.parameters}
    for rule, selected in result.selected.items():
        if selected is not None:
            figures[f"{rule}/epoch"] = selected.epoch
            metrics = selected.metrics.items()
            figures.update({f"{rule}/{name}": value for name, value in metrics if value is not None})
    return figures


def _session_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if re.match(r"(offline-)?run-\d{8}_\d{6}", path.name))
