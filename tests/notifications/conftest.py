"""Sweeps over runs that nobody trains, and a command that notes what it is told."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from rdc_sweeps.notifications.passes import disk_time
from rdc_sweeps.notifications.sweeps import Sweep, Sweeps, new_sweep
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Failure
from rdc_sweeps.settings import Notify
from tests.monitoring.conftest import Bench, bench  # noqa: F401 (fixture)
from tests.runs.writing import write_failure


@dataclass(frozen=True)
class Inbox:
    """What a command was told, a title per line."""

    path: Path

    @property
    def titles(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def notify(self, then: str = "true", **changes: object) -> Notify:
        """Settings with this command, which does something afterwards."""
        script = f'echo "$RDC_NOTIFY_TITLE" >> {self.path}; {then}'
        return Notify.model_validate({"command": ("sh", "-c", script), "timeout": 60, **changes})


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox")


def watch(root: Path, *runs: RunDirectory, **changes: object) -> Sweep:
    """Watch a sweep of these runs, which began a second ago."""
    sweep = new_sweep("table3 under profile demo", "rdc-sweep report table3", opened=0, runs=[run.id for run in runs])
    sweep = sweep.model_copy(update={"opened": disk_time(root) - 1, **changes})
    Sweeps(root).open(sweep)
    return sweep


def fail(run: RunDirectory, cause: str = "disk full") -> None:
    """Let a run fail, now."""
    write_failure(run, Failure(cause=cause, traceback="t", time=time.time(), host="h"))
