import threading
import time
from pathlib import Path

import pytest

from rdc_sweeps.errors import LostRunError, RunLockedError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.runs.records import Status
from rdc_sweeps.specs.training import TrainingLength
from tests.runs.writing import write_status


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path, "0" * 16)


def elsewhere(beat: int = 0, state: str = "training", interval: float = 0.2) -> Status:
    """A heartbeat of a worker on another host, on whose locks this disk does not insist."""
    fields = {"state": state, "host": "another", "process": 7, "time": 0.0, "token": "x", "beat": beat}
    return Status.model_validate({**fields, "interval": interval})


def beating(directory: RunDirectory, ended: threading.Event) -> threading.Thread:
    def beat() -> None:
        count = 0
        while not ended.wait(0.1):
            count += 1
            write_status(directory, elsewhere(count, interval=4.0))

    directory.folder.mkdir(parents=True)
    write_status(directory, elsewhere(interval=4.0))
    thread = threading.Thread(target=beat)
    thread.start()
    return thread


def test_a_heart_that_beats_on_another_host_is_respected_although_the_lock_is_free(directory: RunDirectory) -> None:
    ended = threading.Event()
    thread = beating(directory, ended)
    try:
        assert directory.state() == "preempted"  # there is no owner until the lock file exists
        (directory.folder / "lock").touch()
        assert directory.state() == "running"
        with pytest.raises(RunLockedError, match="process 7 on another"), acquire(directory):
            pass
    finally:
        ended.set()
        thread.join()


def test_a_silent_heart_on_another_host_is_taken_over(directory: RunDirectory) -> None:
    directory.folder.mkdir(parents=True)
    write_status(directory, elsewhere())
    with acquire(directory) as owned:
        Recorder(owned)
    assert directory.state() == "preempted"


def test_the_end_of_an_owner_is_waited_for(directory: RunDirectory) -> None:
    held, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with acquire(directory):
            held.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    with pytest.raises(RunLockedError), acquire(directory):
        pass
    threading.Timer(0.3, leave.set).start()
    with acquire(directory, patience=30):
        pass
    thread.join()


def test_a_worker_that_was_out_of_touch_learns_that_it_lost_its_run_and_writes_no_more(
    directory: RunDirectory,
) -> None:
    with acquire(directory) as first:
        stale = Recorder(first)
        stale.started(0, TrainingLength(4, 4))
    with acquire(directory) as second:
        owner = Recorder(second)
        before = directory.status()
        with pytest.raises(LostRunError, match="was taken over"):
            stale.beat(state="done")
        with pytest.raises(LostRunError, match="was taken over"):
            first.write_environment({})
        assert directory.status() == before
        assert not directory.environment.exists()
        owner.beat()
    stale.close()


def test_beats_count(directory: RunDirectory) -> None:
    with acquire(directory) as owned:
        recorder = Recorder(owned, interval=5.0, device="an A100")
        recorder.beat()
        recorder.beat(epoch=2)
    status = directory.status()
    assert status is not None
    assert (status.beat, status.epoch, status.interval, status.device) == (2, 2, 5.0, "an A100")
    assert status.time <= time.time()


def test_an_owner_discards_files_until_it_loses_the_run(directory: RunDirectory) -> None:
    directory.images.mkdir(parents=True)
    first, second = directory.images / "a", directory.images / "b"
    first.touch()
    second.touch()
    with acquire(directory) as before:
        before.discard(first)
        before.discard(first)
    with acquire(directory), pytest.raises(LostRunError, match="was taken over"):
        before.discard(second)
    assert list(directory.images.iterdir()) == [second]
