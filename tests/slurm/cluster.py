"""The test cluster: two nodes with made-up GPUs on this machine, and partition `high`, which preempts `low`."""

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.slurm.daemons import NODES

COMMANDS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sinfo", "scontrol", "scancel")

PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Daemons are not always on the PATH of scripts."""

START_SECONDS = 150.0


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 600.0) -> None:
    """Block until `condition()` holds.

    Raises:
        TimeoutError: It does not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


@dataclass
class Cluster:
    """A running cluster, whose files are in `folder`."""

    folder: Path
    daemons: "subprocess.Popen[bytes]"

    @property
    def environment(self) -> dict[str, str]:
        """What tells Slurm's commands of this cluster."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def call(self, *command: str) -> str:
        """What a command of Slurm prints."""
        done = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def jobs(self, *options: str) -> dict[str, str]:
        """State of each job that is waiting, running or ending; a task of an array is `12_3`."""
        lines = self.call("squeue", "--noheader", "--array", "--format=%i %T", *options).splitlines()
        return dict(line.split() for line in lines)

    def show(self, job: str) -> dict[str, str]:
        """What Slurm knows of a job, also of one that ended lately."""
        text = self.call("scontrol", "show", "job", "--details", "--oneliner", job)
        return dict(re.findall(r"(\S+?)=(\S*)", text))

    def submit(self, command: str, *options: str) -> str:
        """Submit a shell command as a job; returns its number."""
        return self.call("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={command}").strip()

    def wait_for_state(self, job: str, state: str, seconds: float = 600.0) -> None:
        """Block until a job that still exists is in this state."""
        wait_for(lambda: self.show(job)["JobState"] == state, f"job {job} {state}", seconds)

    def kill_node(self, name: str) -> None:
        """End a node's daemon like a crash; its processes continue, but Slurm considers the node dead."""
        os.kill(int((self.folder / f"slurmd.{name}.pid").read_text()), signal.SIGKILL)
        self.call("scontrol", "update", f"nodename={name}", "state=down", "reason=test")

    def start_node(self, name: str) -> None:
        """Bring a killed node back."""
        assert self.daemons.stdin is not None
        self.daemons.stdin.write(f"start {name}\n".encode())
        self.daemons.stdin.flush()
        self.call("scontrol", "update", f"nodename={name}", "state=resume")
        # An asterisk after the state means that it does not answer.
        wait_for(lambda: self.node_state(name) in {"idle", "mix", "alloc"}, f"node {name}")

    def node_state(self, name: str) -> str:
        """Slurm's short word, such as idle."""
        return self.call("sinfo", "--noheader", f"--nodes={name}", "--partition=low", "--format=%t").strip()

    def clear(self) -> None:
        """End all jobs."""
        if jobs := list(self.jobs()):
            self.call("scancel", *jobs)
        wait_for(lambda: not self.jobs(), "the end of all jobs")


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster that is gone afterwards, with all that its jobs left running."""
    command = [sys.executable, str(Path(__file__).with_name("daemons.py")), str(folder), *_free_ports(1 + len(NODES))]
    daemons = subprocess.Popen(
        command, env={**os.environ, "PATH": PATH}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert daemons.stdin is not None
    assert daemons.stdout is not None
    try:
        ready, _, _ = select.select([daemons.stdout], [], [], START_SECONDS)
        if not ready or daemons.stdout.readline() != b"ready\n":
            logs = "\n".join(f"{log}:\n{log.read_text(errors='replace')[-1500:]}" for log in folder.glob("*.out"))
            raise RuntimeError(f"the test cluster does not start\n{logs}")
        yield Cluster(folder, daemons)
    finally:
        with suppress(BrokenPipeError):
            daemons.stdin.write(b"end\n")
            daemons.stdin.close()
        daemons.wait()
        daemons.stdout.close()


def _free_ports(count: int) -> list[str]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def missing() -> str | None:
    """Why there can be no cluster here."""
    if absent := [command for command in COMMANDS if shutil.which(command, path=PATH) is None]:
        return f"no {', '.join(absent)}: apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "a test cluster can only be started by root"
    return None


@pytest.fixture(scope="session")
def started_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := missing():
        if os.environ.get("RDC_REQUIRE_SLURM") == "1":
            pytest.fail(f"RDC_REQUIRE_SLURM=1, but {reason}")
        pytest.skip(reason)
    with running_cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def cluster(started_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster without jobs."""
    yield started_cluster
    for node in NODES:
        if started_cluster.node_state(node).startswith("down"):
            started_cluster.start_node(node)
    started_cluster.clear()
