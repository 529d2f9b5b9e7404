"""Looking at a run changes nothing, needs no right to write, and is mistaken for no owner."""

import multiprocessing
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from rdc_sweeps.errors import RunLockedError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.lock import exclusive
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.records import Status
from rdc_sweeps.runs.requests import request_run, set_aside
from rdc_sweeps.specs.run import RunSpec
from tests.runs.writing import write_status

ID = "0" * 16
NOBODY = 65534


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run whose worker is dead."""
    directory = RunDirectory(tmp_path, ID)
    request_run(directory, RunSpec())
    with acquire(directory) as owned:
        owned.write_status(Status.of_this_process("training"))
    return directory


def listing(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in root.rglob("*")}


def poll(root: Path, looks: "Synchronized[int]", ended: Event, seen: "multiprocessing.Queue[set[str]]") -> None:
    """Look again and again, and tell which states there were."""
    states: set[str] = set()
    while not ended.is_set():
        states.add(RunDirectory(root, ID).state())
        with looks.get_lock():
            looks.value += 1
    seen.put(states)


class Pollers:
    """Processes that look at a run as often as they can."""

    def __init__(self, root: Path, count: int) -> None:
        context = multiprocessing.get_context("fork")
        self.looks, self.ended, self.seen = context.Value("i", 0), context.Event(), context.Queue()
        arguments = (root, self.looks, self.ended, self.seen)
        self.processes = [context.Process(target=poll, args=arguments, daemon=True) for _ in range(count)]
        for process in self.processes:
            process.start()

    def wait(self, looks: int) -> None:
        """Until they have looked so often, all together."""
        while self.looks.value < looks:
            time.sleep(0.01)

    def end(self) -> set[str]:
        """The states that they saw."""
        self.ended.set()
        states = set[str]().union(*(self.seen.get(timeout=60) for _ in self.processes))
        for process in self.processes:
            process.join(60)
        return states


@pytest.fixture
def pollers(tmp_path: Path) -> Iterator[Pollers]:
    started = Pollers(tmp_path, 3)
    yield started
    started.ended.set()


def test_observers_do_not_take_each_other_for_an_owner(run: RunDirectory, pollers: Pollers) -> None:
    pollers.wait(3000)
    assert pollers.end() == {"preempted"}


def test_observers_do_not_prevent_ownership(run: RunDirectory, pollers: Pollers) -> None:
    for _ in range(200):
        with acquire(run):
            assert run.state() == "running"
        with exclusive(run):
            pass
    for _ in range(20):
        assert set_aside(run) is not None
        request_run(run, RunSpec())
    assert pollers.end() <= {"planned", "preempted", "running"}


def test_an_owner_is_seen_and_respected_by_all(run: RunDirectory) -> None:
    with acquire(run):
        observers = Pollers(run.root, 2)
        observers.wait(1)
        with pytest.raises(RunLockedError, match="is working on it"), acquire(run):
            pass
        with pytest.raises(RunLockedError, match="is working on it"):
            set_aside(run)
        assert observers.end() == {"running"}


def test_a_look_creates_nothing(run: RunDirectory) -> None:
    before = listing(run.root)
    for directory in (run, RunDirectory(run.root, "1" * 16)):
        directory.state()
        directory.is_owned()
        directory.beats_elsewhere()
        directory.status(), directory.result(), directory.failure(), directory.stopped(), directory.attempts()
    assert listing(run.root) == before


def test_a_look_needs_no_right_to_write() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to look as another user")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        run = RunDirectory(root, ID)
        request_run(run, RunSpec())
        with acquire(run) as owned:
            owned.write_status(Status.of_this_process("training"))
        for path in (root, *root.rglob("*")):
            path.chmod(path.stat().st_mode & ~(stat.S_IWGRP | stat.S_IWOTH) | stat.S_IRGRP | stat.S_IROTH)
        for wanted in ("preempted", "running"):
            with exclusive(run) if wanted == "running" else tempfile.TemporaryDirectory():
                process = os.fork()
                if not process:
                    os.setresgid(NOBODY, NOBODY, NOBODY)
                    os.setresuid(NOBODY, NOBODY, NOBODY)
                    os._exit(0 if RunDirectory(root, ID).state() == wanted else 1)
                assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0, wanted


@pytest.mark.parametrize(("age", "state"), [(0, "running"), (-60, "running"), (3600, "preempted"), (-1e8, "preempted")])
def test_a_heartbeat_of_another_host_counts_for_a_while(age: float, state: str, run: RunDirectory) -> None:
    last = Status.of_this_process("training").model_copy(update={"host": "another"})
    write_status(run, last)
    beaten = time.time() - age
    os.utime(run.folder / "status.json", (beaten, beaten))
    assert run.state() == state
