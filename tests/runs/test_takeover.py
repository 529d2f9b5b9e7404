"""A frozen owner loses its run to a worker on another host and continues: it must not write anything."""

import hashlib
import multiprocessing
import os
import pathlib
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.dispatch.trainer import Trainer, problems
from rdc_sweeps import files
from rdc_sweeps.dispatch import lifecycle
from rdc_sweeps.dispatch.lifecycle import Stop, run_to_end
from rdc_sweeps.errors import InfrastructureError, RunLockedError
from rdc_sweeps.runs import owned
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.runs.records import Origin, Result
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec
from tests.runs.writing import write_origin

ID = "0123456789abcdef"


def on_host(name: str) -> None:
    """Make this process one of another host, on a disk that does not carry locks between hosts."""
    socket.gethostname = lambda: name
    files.fcntl.flock = lambda descriptor, operation: None  # type: ignore[attr-defined]
    # Whoever owns the run counts as silent at once: these tests are about what follows.
    owned.SILENCE = 0  # type: ignore[attr-defined]
    lifecycle.PAUSE_BEATS = 0


def freeze_at(number: int) -> None:
    """Stop this process right before it puts its n-th file into place."""
    replace, count = pathlib.Path.replace, 0

    def counted(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGSTOP)
        return replace(self, target)

    pathlib.Path.replace = counted  # type: ignore[method-assign, assignment]


def settings(root: Path) -> Settings:
    # No heartbeat comes in between: the number of files is the same each time.
    return Settings(root=root, heartbeat=1000.0, retries=100)


def owner(root: Path, number: int, ending: str) -> None:
    on_host("first")
    freeze_at(number)
    trainer = Trainer(RunDirectory(root, ID), exclusive=False)

    def body(recorder: Recorder, stop: Stop) -> Result | None:
        result = trainer.train(recorder, stop)
        if ending == "failed":
            raise ValueError("at the end")
        if ending == "retry":
            raise InfrastructureError("at the end")
        return result

    os._exit(run_to_end(trainer.directory, settings(root), body))


def heir(root: Path, steps: int) -> None:
    on_host("second")
    trainer, taken = Trainer(RunDirectory(root, ID), exclusive=False), iter(range(steps))
    code = run_to_end(
        trainer.directory,
        settings(root),
        lambda recorder, stop: trainer.train(recorder, lambda: stop() or next(taken, None) is None),
    )
    os._exit(code)


def started(target: Callable[..., None], *arguments: Any) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process  # type: ignore[return-value]


def ended(process: multiprocessing.Process) -> int:
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def is_frozen(process: multiprocessing.Process) -> bool:
    """Wait until it has stopped; False if it has ended instead."""
    assert process.pid is not None
    for _ in range(6000):
        try:
            state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state in "TtZX":
            return state in "Tt"
        time.sleep(0.005)
    raise TimeoutError("neither stopped nor ended")


def contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = RunDirectory(tmp_path, ID)
    request_run(directory, RunSpec())
    write_origin(directory, Origin(table="t", row="r", profile="p"))
    return tmp_path


@pytest.mark.parametrize(("ending", "steps"), [("done", 3), ("failed", 100), ("retry", 0)])
def test_whenever_it_is_frozen_the_one_that_lost_its_run_writes_nothing(
    root: Path, tmp_path_factory: pytest.TempPathFactory, ending: str, steps: int
) -> None:
    moments = 0
    while True:
        fresh = tmp_path_factory.mktemp("moment") / "runs"
        shutil.copytree(root, fresh)
        frozen = started(owner, fresh, moments + 1, ending)
        if not is_frozen(frozen):
            ended(frozen)
            break
        moments += 1
        code = ended(started(heir, fresh, steps))
        before = contents(fresh)
        assert frozen.pid is not None
        os.kill(frozen.pid, signal.SIGCONT)
        assert ended(frozen) == WorkerExit.LOCKED, moments
        assert contents(fresh) == before, moments
        if code == WorkerExit.PREEMPTED:
            code = ended(started(heir, fresh, 100))
        if (fresh / ID / "failure.json").exists():
            continue  # it had failed before it lost the run
        assert code == WorkerExit.DONE
        assert problems(Trainer(RunDirectory(fresh, ID))) == []
    # Beginning and end, heartbeats, lines, and a checkpoint an epoch.
    assert moments > 10


def test_of_two_that_take_over_at_the_same_moment_one_does(root: Path) -> None:
    ready = multiprocessing.get_context("fork").Barrier(4)

    def take(name: str) -> None:
        on_host(name)
        trainer = Trainer(RunDirectory(root, ID), exclusive=False)
        ready.wait()
        os._exit(run_to_end(trainer.directory, settings(root), trainer.train))

    codes = [ended(process) for process in [started(take, f"host {number}") for number in range(4)]]
    assert WorkerExit.DONE in codes
    assert set(codes) <= {WorkerExit.DONE, WorkerExit.LOCKED}
    assert problems(Trainer(RunDirectory(root, ID))) == []


def test_a_number_that_others_took_and_left_meanwhile_does_not_own_the_run(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the numbers and making the first, two others made it and the second, and removed the first."""
    monkeypatch.setattr("fcntl.flock", lambda descriptor, operation: None)
    monkeypatch.setattr(owned, "SILENCE", 0)
    directory, mkdir, others = RunDirectory(root, ID), pathlib.Path.mkdir, iter([2])

    def late(self: Path, *arguments: Any, **named: Any) -> None:
        if self.name == "1":
            for _ in range(next(others, 0)):
                with acquire(directory):
                    pass
        mkdir(self, *arguments, **named)

    monkeypatch.setattr(pathlib.Path, "mkdir", late)
    with pytest.raises(RunLockedError, match="at the same time"), acquire(directory):
        pass
    assert [folder.name for folder in (root / ID / "writers").iterdir()] == ["2"]


def test_a_run_that_was_set_aside_under_its_owner_stays_as_it_was(root: Path) -> None:
    frozen = started(owner, root, 8, "done")
    assert is_frozen(frozen)
    (root / ID).rename(root / "aside")
    before = contents(root)
    assert frozen.pid is not None
    os.kill(frozen.pid, signal.SIGCONT)
    assert ended(frozen) == WorkerExit.LOCKED
    assert contents(root) == before
    assert not (root / ID).exists()
