import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from rdc_sweeps.errors import DamagedError, RunLockedError, SpecError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.lock import exclusive
from rdc_sweeps.runs.records import Failure, Result, Status
from rdc_sweeps.runs.requests import forget_failure, request_run
from rdc_sweeps.specs.run import RunSpec, run_id
from tests.runs.writing import write_failure, write_result, write_status

SPEC = RunSpec()


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path, run_id(SPEC))


def result(directory: RunDirectory) -> Result:
    return Result(run=directory.id, selected={}, epochs=1, images=1, parameters=1, seconds=1.0, device="cpu")


def hold_lock(root: Path, identity: str, ready: object) -> None:
    with exclusive(RunDirectory(root, identity)):
        ready.set()  # type: ignore[attr-defined]
        time.sleep(600)


def test_a_run_without_a_directory_is_planned_and_stays_without(directory: RunDirectory) -> None:
    assert directory.state() == "planned"
    assert directory.status() is None
    assert not directory.folder.exists()


def test_states_follow_from_the_files(directory: RunDirectory) -> None:
    request_run(directory, SPEC)
    assert directory.state() == "planned"
    write_status(directory, Status.of_this_process("training"))
    assert directory.state() == "preempted"
    write_failure(directory, Failure(cause="a", traceback="b", time=0, host="c"))
    assert directory.state() == "failed"
    forget_failure(directory)
    assert directory.state() == "preempted"
    with exclusive(directory):
        assert directory.state() == "running"
    write_result(directory, result(directory))
    assert directory.state() == "done"


def test_the_spec_survives_the_round_trip(directory: RunDirectory) -> None:
    request_run(directory, SPEC)
    assert directory.read_spec() == SPEC
    assert run_id(directory.read_spec()) == directory.id


def test_two_holders_exclude_each_other(directory: RunDirectory) -> None:
    write_status(directory, Status.of_this_process("training"))
    with exclusive(directory), pytest.raises(RunLockedError, match=f"process {os.getpid()}"), exclusive(directory):
        pass


def test_the_lock_of_a_killed_process_is_free(directory: RunDirectory) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold_lock, args=(directory.root, directory.id, ready))
    process.start()
    assert ready.wait(60)
    assert directory.state() == "running"
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with exclusive(directory):
        pass


def test_a_damaged_result_is_an_error_that_names_the_file(directory: RunDirectory) -> None:
    request_run(directory, SPEC)
    (directory.folder / "result.json").write_text('{"run": 1')
    with pytest.raises(DamagedError, match=r"result\.json: is damaged.*--retry-failed"):
        directory.result()


def test_a_missing_run_is_an_error(directory: RunDirectory) -> None:
    with pytest.raises(SpecError, match="no such run"):
        directory.read_spec()


@pytest.mark.parametrize(("years", "state"), [(0, "running"), (10, "preempted"), (-10, "preempted")])
def test_a_heartbeat_of_another_host_counts_only_around_the_present(
    directory: RunDirectory, years: int, state: str
) -> None:
    write_status(directory, Status.of_this_process("training").model_copy(update={"host": "elsewhere"}))
    # Another process on this host would hold the lock.
    moment = time.time() + years * 365 * 86400
    os.utime(directory.folder / "status.json", (moment, moment))
    directory.lock.touch()
    assert directory.state() == state


def test_panels_are_those_of_the_last_epoch(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, "0123456789abcdef")
    assert run.panels() == {}
    folder = run.folder / "panels"
    folder.mkdir(parents=True)
    for name in ("00000015-0-image-0", "00000031-0-image-0", "00000031-1-image-17"):
        (folder / f"{name}.png").touch()
    for name in (".00000047-0-image-0.png.12", "notes.txt"):
        (folder / name).touch()
    assert run.panels() == {
        "image 0": folder / "00000031-0-image-0.png",
        "image 17": folder / "00000031-1-image-17.png",
    }
