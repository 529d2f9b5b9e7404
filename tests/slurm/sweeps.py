"""A user who runs small sweeps on the test cluster, and what can be seen of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.runs.records import Attempt, Status
from tests.slurm.cluster import Cluster, wait_for

NODE_PROFILES = """
[nodes.low]
description = "A whole node of the partition whose jobs may be preempted"
partition = "low"
cpus = 4
memory = "4G"
time_limit = "00:30:00"
signal_seconds = 30
heartbeat = 0.5

[nodes.gpu]
extends = "low"
gpu = "a100"
cpus = 1
"""


@dataclass
class Sweeps:
    """One user's folder and environment."""

    cluster: Cluster
    folder: Path
    environment: dict[str, str]
    started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    @property
    def root(self) -> Path:
        """The runs folder."""
        return Path(self.environment["RDC_SWEEP_ROOT"])

    def start(self, *arguments: str, variables: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start `rdc-sweep`."""
        process = subprocess.Popen(
            [sys.executable, "-m", "rdc_sweeps", *arguments],
            env={**self.environment, **(variables or {})},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def call(self, *arguments: str, code: int = 0, variables: Mapping[str, str] | None = None) -> str:
        """Run `rdc-sweep` to its end and return its messages."""
        process = self.start(*arguments, variables=variables)
        output, messages = process.communicate(timeout=600)
        assert process.returncode == code, f"{arguments}: {process.returncode}\n{output}\n{messages}"
        return messages

    def end(self) -> None:
        """End the commands that a failed test has left."""
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def runs(self) -> dict[str, RunDirectory]:
        """The runs by row."""
        folders = [origin.parent for origin in self.root.glob("*/origin.json")]
        found = [RunDirectory(self.root, folder.name) for folder in folders]
        return {origin.row: run for run in found if (origin := run.origin())}

    def run(self, row: str) -> RunDirectory:
        """The run of a row, once it has been submitted."""
        wait_for(lambda: row in self.runs(), f"run {row}")
        return self.runs()[row]

    def wait_until_done(self, seconds: float = 1200.0) -> None:
        """Block until all runs are done and no job is left."""
        wait_for(lambda: all(run.state() == "done" for run in self.runs().values()), "the end of all runs", seconds)
        self.wait_until_quiet()

    def wait_until_quiet(self, seconds: float = 600.0) -> None:
        """Block until no job is left."""
        wait_for(lambda: not self.cluster.jobs(), "the end of all jobs", seconds)


def wait_for_step(run: RunDirectory, step: int, after: str = "", seconds: float = 600.0) -> Status:
    """The heartbeat of a worker (not the one whose token is `after`) that is at this step or a later one."""

    def look() -> bool:
        status = run.status()
        return status is not None and status.live and status.step >= step and status.token != after

    wait_for(look, f"step {step} of {run.id}", seconds)
    status = run.status()
    assert status is not None
    return status


def kill(process: int) -> None:
    """End a process that is somewhere on the cluster as the lack of memory would."""
    os.kill(process, signal.SIGKILL)


def starts(run: RunDirectory) -> list[Attempt]:
    """The workers that began."""
    return [attempt for attempt in run.attempts() if attempt.event == "start"]


def endings(run: RunDirectory) -> list[str | None]:
    """How workers ended that did so in order."""
    return [attempt.state for attempt in run.attempts() if attempt.event == "end"]


def steps(run: RunDirectory) -> list[int]:
    """The steps in the run's event log, in the order of the file."""
    return [event["step"] for event in read_events(run.events) if event["kind"] == "step"]
