"""The sweeps that are watched."""

import hashlib
import socket
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from rdc_sweeps.files import read_file, write_json
from rdc_sweeps.processes.environment import user_name
from rdc_sweeps.runs.records import Record


class Sweep(Record):
    """A table or study that somebody trains."""

    id: str
    about: str
    """Its name in notifications, such as `table3 under profile paper`."""
    command: str
    """The command that shows its results."""
    runs: tuple[str, ...] = ()
    """Ids of its runs; empty for a study, whose runs are not known in advance."""
    study: str | None = None
    slurm: bool = False
    """Whether Slurm jobs train it; otherwise the command that watches it does."""
    user: str
    host: str
    opened: float
    """When it began, on the clock of the disk."""
    ended: bool = False
    """Whether the command that trained it has ended in order."""


def new_sweep(
    about: str, command: str, *, opened: float, runs: Sequence[str] = (), study: str | None = None, slurm: bool = False
) -> Sweep:
    """A sweep of the calling user, now; the same runs have the same id."""
    identity = "\n".join((user_name(), about, study or "", *sorted(runs)))
    return Sweep(
        id=hashlib.sha256(identity.encode()).hexdigest()[:16],
        about=about,
        command=command,
        runs=tuple(runs),
        study=study,
        slurm=slurm,
        user=user_name(),
        host=socket.gethostname(),
        opened=opened,
    )


class Sweeps:
    """The records of watched sweeps in a runs folder."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "notifications" / "sweeps"

    def open(self, sweep: Sweep) -> None:
        """Watch a sweep; one that is watched already keeps the time when it began."""
        before = self._read(self._path(sweep.id))
        opened = before.opened if before is not None else sweep.opened
        write_json(self._path(sweep.id), sweep.model_copy(update={"opened": opened}).model_dump(mode="json"))

    def end(self, sweep: Sweep) -> None:
        """Record that the command which trained it has ended in order."""
        now = self._read(self._path(sweep.id)) or sweep
        write_json(self._path(sweep.id), now.model_copy(update={"ended": True}).model_dump(mode="json"))

    def close(self, sweep: Sweep) -> None:
        """Watch it no longer."""
        self._path(sweep.id).unlink(missing_ok=True)

    def own(self) -> list[Sweep]:
        """The sweeps of the calling user; damaged records are ignored."""
        found = map(self._read, sorted(self.folder.glob("*.json")))
        return [sweep for sweep in found if sweep is not None and sweep.user == user_name()]

    def _path(self, identity: str) -> Path:
        return self.folder / f"{identity}.json"

    def _read(self, path: Path) -> Sweep | None:
        try:
            return Sweep.model_validate_json(read_file(path))
        except (FileNotFoundError, ValidationError):
            return None
