import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from rdc_sweeps.dispatch import lifecycle
from rdc_sweeps.dispatch.lifecycle import Body, Stop, run_to_end
from rdc_sweeps.errors import InfrastructureError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.runs.records import Result, Status, Stopped
from rdc_sweeps.runs.requests import forget_failure, move_damaged_aside, request_stop, withdraw_stop
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.training import TrainingLength
from tests.runs.writing import write_status


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "PAUSE_BEATS", 0)


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path, "0" * 16)


def settings(retries: int = 2) -> Settings:
    return Settings(retries=retries, heartbeat=0.02)


def result(directory: RunDirectory) -> Result:
    return Result(run=directory.id, selected={}, epochs=1, images=1, parameters=1, seconds=1.0, device="cpu")


def until_stopped(recorder: Recorder, stop: Stop) -> Result | None:
    recorder.started(0, TrainingLength(4, 4))
    while not stop():
        time.sleep(0.01)
    return None


def fail(error: Exception) -> Body:
    def body(recorder: Recorder, stop: Stop) -> Result | None:
        raise error

    return body


def die(root: Path, identity: str) -> None:
    def body(recorder: Recorder, stop: Stop) -> Result | None:
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    run_to_end(RunDirectory(root, identity), settings(), body)


def in_process(target: object, *arguments: object) -> int:
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)  # type: ignore[arg-type]
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def test_a_run_that_ends_is_done_and_is_not_done_twice(directory: RunDirectory) -> None:
    calls = []

    def body(recorder: Recorder, stop: Stop) -> Result:
        calls.append(directory.state())
        return result(directory)

    endings: list[str] = []
    assert run_to_end(directory, settings(), body, ended=endings.append) == WorkerExit.DONE
    assert run_to_end(directory, settings(), body) == WorkerExit.DONE
    assert (calls, endings, directory.state()) == (["running"], ["done"], "done")


def test_one_of_many_workers_at_once_trains_it(directory: RunDirectory) -> None:
    counts: list[int] = []

    def body(recorder: Recorder, stop: Stop) -> Result:
        counts.append(len(counts))
        time.sleep(0.2)
        return result(directory)

    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(run_to_end(directory, settings(), body))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [WorkerExit.DONE] * 8
    assert counts == [0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2])
def test_stop_signals_leave_it_resumable(directory: RunDirectory, number: int) -> None:
    def body(recorder: Recorder, stop: Stop) -> Result | None:
        os.kill(os.getpid(), number)
        return until_stopped(recorder, stop)

    before = signal.getsignal(number)
    assert run_to_end(directory, settings(), body) == WorkerExit.PREEMPTED
    assert directory.state() == "preempted"
    assert directory.deaths() == 0
    assert signal.getsignal(number) is before


def test_a_cancellation_reaches_the_worker_by_its_heartbeat(directory: RunDirectory) -> None:
    def body(recorder: Recorder, stop: Stop) -> Result | None:
        request_stop(directory, Stopped.now("cancelled", "by hand"))
        return until_stopped(recorder, stop)

    assert run_to_end(directory, settings(), body) == WorkerExit.STOPPED
    assert directory.state() == "cancelled"
    assert run_to_end(directory, settings(), until_stopped) == WorkerExit.STOPPED
    withdraw_stop(directory)
    assert directory.state() == "preempted"


def test_a_failing_run_fails_at_once_and_keeps_its_traceback(directory: RunDirectory) -> None:
    endings: list[str] = []
    code = run_to_end(directory, settings(), fail(ValueError("no\nsuch thing")), ended=endings.append)
    failure = directory.failure()
    assert failure is not None
    assert (code, directory.state(), endings) == (WorkerExit.FAILED, "failed", ["failed"])
    assert failure.cause == "ValueError: no such thing"
    assert "in body" in failure.traceback


def test_errors_of_the_infrastructure_are_tried_again_and_then_the_run_is_parked(directory: RunDirectory) -> None:
    body = fail(InfrastructureError("ECC error"))
    for _ in range(2):
        codes = [run_to_end(directory, settings(retries=2), body) for _ in range(3)]
        assert codes == [WorkerExit.RETRY, WorkerExit.RETRY, WorkerExit.PARKED]
    assert (directory.state(), directory.failure()) == ("preempted", None)
    assert directory.attempts()[-1].cause == "ECC error"


def test_the_pause_before_a_retry_ends_when_the_run_is_to_stop(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "PAUSE_BEATS", 10**6)
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    assert run_to_end(directory, settings(), fail(InfrastructureError("ECC error")), stop=stop) == WorkerExit.RETRY


def test_other_errors_of_files_are_tried_again_and_fail(directory: RunDirectory) -> None:
    body = fail(FileNotFoundError("scene.npy"))
    codes = [run_to_end(directory, settings(retries=1), body) for _ in range(2)]
    assert codes == [WorkerExit.RETRY, WorkerExit.FAILED]
    failure = directory.failure()
    assert failure is not None
    assert "scene.npy" in failure.traceback
    forget_failure(directory)
    assert run_to_end(directory, settings(retries=1), body) == WorkerExit.RETRY


def test_killed_workers_count_and_too_many_in_a_row_fail(directory: RunDirectory) -> None:
    for _ in range(3):
        assert in_process(die, directory.root, directory.id) == -signal.SIGKILL
        assert directory.state() == "preempted"
    assert directory.deaths() == 3
    assert run_to_end(directory, settings(retries=2), until_stopped) == WorkerExit.FAILED
    failure = directory.failure()
    assert failure is not None
    assert "died 3 times in a row" in failure.cause
    assert "killed" in failure.cause


def test_a_checkpoint_in_between_is_progress(directory: RunDirectory) -> None:
    for _ in range(2):
        in_process(die, directory.root, directory.id)
    directory.checkpoint.parent.mkdir()
    directory.checkpoint.touch()
    assert directory.deaths() == 0
    in_process(die, directory.root, directory.id)
    assert directory.deaths() == 1


def test_a_worker_whose_run_was_taken_over_writes_nothing(directory: RunDirectory) -> None:
    def body(recorder: Recorder, stop: Stop) -> Result:
        while not stop():
            # By another worker; again, since a heartbeat may be about to replace it.
            write_status(directory, Status.of_this_process("training"))
            time.sleep(0.01)
        return result(directory)

    assert run_to_end(directory, settings(), body) == WorkerExit.LOCKED
    assert directory.result() is None
    assert directory.failure() is None


def test_a_damaged_history_of_workers_stops_the_run_until_it_is_moved_aside(directory: RunDirectory) -> None:
    assert run_to_end(directory, settings(), lambda recorder, stop: None) == WorkerExit.PREEMPTED
    with (directory.folder / "attempts.jsonl").open("a") as file:
        file.write('{"event": "sta')
    assert run_to_end(directory, settings(), lambda recorder, stop: result(directory)) == WorkerExit.FAILED
    assert directory.state() == "damaged"
    move_damaged_aside(directory)
    assert run_to_end(directory, settings(), lambda recorder, stop: result(directory)) == WorkerExit.DONE
    assert [attempt.event for attempt in directory.attempts()] == ["start", "end"]


def test_a_damaged_heartbeat_does_not_stop_a_worker(directory: RunDirectory) -> None:
    assert run_to_end(directory, settings(), lambda recorder, stop: None) == WorkerExit.PREEMPTED
    (directory.folder / "status.json").write_bytes(b"")
    assert directory.state() == "damaged"

    def body(recorder: Recorder, stop: Stop) -> Result:
        (directory.folder / "status.json").write_bytes(b"")
        recorder.beat()
        return result(directory)

    assert run_to_end(directory, settings(), body) == WorkerExit.DONE
    assert directory.damaged() == {}
