"""A full or failing disk is not the fault of a run: it is tried again or parked, and its checkpoint stays."""

import errno
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from rdc_sweeps.data.arrays import open_array
from rdc_sweeps.data.prefetch import prefetched
from rdc_sweeps.dispatch import lifecycle
from rdc_sweeps.dispatch.inputs import check_inputs
from rdc_sweeps.dispatch.lifecycle import Stop, run_to_end
from rdc_sweeps.errors import DataError, InfrastructureError, infrastructure_cause
from rdc_sweeps.files import write_atomically
from rdc_sweeps.monitoring.views import Subject, inspect
from rdc_sweeps.regions.store import RegionStore
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.runs.records import Result
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.dataset import RoomsSpec
from rdc_sweeps.specs.training import TrainingLength
from rdc_sweeps.synthetic.rooms.scenes import ROOMS
from rdc_sweeps.training.checkpoints import load_checkpoint, save_checkpoint
from tests.disks import Disk, mounted

RUN = "0" * 16
SETTINGS = Settings(retries=1, heartbeat=0.02)
SIZE = 30_000
"""Numbers in a checkpoint."""


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "PAUSE_BEATS", 0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path / "disk", "400k") as one:
        yield one


def result() -> Result:
    return Result(run=RUN, selected={}, epochs=2, images=1, parameters=1, seconds=1.0, device="cpu")


def train(disk: Disk | None, recorder: Recorder, stop: Stop) -> Result:
    """Two checkpoints; the disk, if given, is filled between them."""
    path = recorder.directory.checkpoint
    state = load_checkpoint(path, RUN) or {"step": 0}
    recorder.started(state["step"], TrainingLength(2, 2))
    for step in range(state["step"], 2):
        recorder.stepped(0, step, {"loss": 1.0})
        if step == 1 and disk is not None:
            disk.fill()
        values = torch.full((SIZE,), float(step))
        save_checkpoint(path, RUN, {"step": step + 1, "values": values}, recorder.write_checkpoint)
    return result()


def test_a_disk_that_fills_parks_a_run_and_once_freed_it_continues(disk: Disk) -> None:
    directory = RunDirectory(disk.path, RUN)
    codes = []
    for _ in range(3):
        codes.append(run_to_end(directory, SETTINGS, partial(train, disk)))
        disk.free()
    # The first came as far as a checkpoint.
    assert codes == [WorkerExit.RETRY, WorkerExit.RETRY, WorkerExit.PARKED]
    assert (directory.state(), directory.failure()) == ("preempted", None)
    saved = load_checkpoint(directory.checkpoint, RUN)
    assert saved is not None
    assert (saved["step"], saved["values"][0]) == (1, 0)
    assert [path.name for path in directory.checkpoint.parent.iterdir()] == ["last.pt"]
    cause = inspect(Subject(RUN), disk.path, {}).problem
    assert cause is not None
    assert "No space left on device" in cause
    assert run_to_end(directory, SETTINGS, partial(train, None)) == WorkerExit.DONE


def test_a_disk_that_is_full_from_the_start_leaves_a_run_as_it_is(disk: Disk) -> None:
    directory = RunDirectory(disk.path, RUN)
    directory.folder.mkdir()
    disk.fill()
    for _ in range(4):
        assert run_to_end(directory, SETTINGS, partial(train, disk)) == WorkerExit.PARKED
    disk.free()
    assert directory.attempts() == []
    assert run_to_end(directory, SETTINGS, partial(train, None)) == WorkerExit.DONE


def test_what_libraries_make_of_a_full_disk_is_recognised(disk: Disk) -> None:
    big = np.zeros(2**20, np.float32)
    for write in (partial(np.save, arr=big), partial(torch.save, torch.from_numpy(big))):
        with pytest.raises((OSError, RuntimeError)) as caught:
            write_atomically(disk.path / "file", lambda file, write=write: write(file))  # type: ignore[misc]
        assert infrastructure_cause(caught.value) is not None
    assert list(disk.path.iterdir()) == []


CODES = ("ENOSPC", "EDQUOT", "ESTALE", "EIO", "EMFILE", "ETIMEDOUT", "ENOMEM")


def wrapped(code: int, index: int = 0) -> object:
    try:
        raise OSError(code, os.strerror(code))
    except OSError as error:
        raise DataError("x.npy: truncated; copy or write this file again") from error


@pytest.mark.parametrize("name", CODES)
def test_an_error_of_the_disk_in_the_chain_parks_a_run(tmp_path: Path, name: str) -> None:
    directory = RunDirectory(tmp_path, RUN)

    def body(recorder: Recorder, stop: Stop) -> Result | None:
        wrapped(getattr(errno, name))
        return None

    codes = [run_to_end(directory, SETTINGS, body) for _ in range(3)]
    assert codes == [WorkerExit.RETRY, WorkerExit.PARKED, WorkerExit.RETRY]
    assert directory.failure() is None
    cause = inspect(Subject(RUN), tmp_path, {}).problem
    assert cause is not None
    assert "copy" not in cause
    assert os.strerror(getattr(errno, name)) in cause


@pytest.mark.parametrize("error", [DataError("damaged"), ValueError("no"), PermissionError(errno.EACCES, "no")])
def test_other_errors_fail_a_run(tmp_path: Path, error: Exception) -> None:
    directory = RunDirectory(tmp_path, RUN)

    def body(recorder: Recorder, stop: Stop) -> Result | None:
        raise error

    code = [run_to_end(directory, SETTINGS, body) for _ in range(3)][-1]
    assert (code, directory.state()) == (WorkerExit.FAILED, "failed")


def test_loader_processes_tell_the_cause() -> None:
    with pytest.raises(InfrastructureError, match="Stale file handle"):
        list(prefetched(partial(wrapped, errno.ESTALE), range(1), workers=1))


def killed(index: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return index


def test_a_loader_process_that_is_killed_is_not_the_fault_of_the_run() -> None:
    with pytest.raises(InfrastructureError, match="a loader process was killed"):
        list(prefetched(killed, range(1), workers=1))


def test_a_full_cache_is_not_the_fault_of_a_run(disk: Disk) -> None:
    disk.fill()
    train, _ = ROOMS.splits(RoomsSpec(size=(64, 96), train_images=1), disk.path)
    with pytest.raises(DataError) as caught:
        train.scene(0, ())
    assert infrastructure_cause(caught.value) is not None
    store = RegionStore(disk.path / "regions", '{"source": "superpixel"}')
    with pytest.raises(DataError) as caught:
        store.put("0" * 16, np.zeros((4, 4), np.int32))
    assert infrastructure_cause(caught.value) is not None


def test_inputs_on_a_disk_that_fails_are_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "0.npy"
    np.save(path, np.zeros((4, 4)))

    def stale(path: Path, mode: str) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr("numpy.lib.format.open_memmap", stale)
    monkeypatch.setattr("rdc_sweeps.dispatch.inputs.open_data", lambda spec, settings: open_array(path))
    run, *_ = Catalogue(Path(__file__).parents[2] / "experiments").runs("table3", "demo", seeds=[0])
    with pytest.raises(InfrastructureError, match=r"Stale file handle; repeat the command") as caught:
        check_inputs([run], SETTINGS)
    assert "copy" not in str(caught.value)
