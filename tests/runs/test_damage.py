"""No damaged file of a run is taken for what was written, and each concerns its run alone."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rdc_sweeps.errors import DamagedError
from rdc_sweeps.files import write_json
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import encode, verified_lines
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.records import Attempt, Failure, Origin, Result, Selected, Status, Stopped
from rdc_sweeps.runs.requests import move_damaged_aside, request_run, request_stop, set_aside
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.training.checkpoints import load_checkpoint, save_checkpoint
from tests.mutations import read_damaged

SPEC = RunSpec()
ID = run_id(SPEC)

BUDGETS = [300, pytest.param(3000, marks=pytest.mark.slow)]

RECORDS: dict[str, Callable[[RunDirectory], Any]] = {
    "result.json": RunDirectory.result,
    "status.json": RunDirectory.status,
    "failure.json": RunDirectory.failure,
    "stopped.json": RunDirectory.stopped,
    "attempts.jsonl": RunDirectory.attempts,
    "origin.json": RunDirectory.origin,
    "environment.json": RunDirectory.recorded_environment,
}


def whole_run(root: Path, spec: RunSpec = SPEC) -> RunDirectory:
    """A run with every record at once."""
    run = RunDirectory(root, run_id(spec))
    request_run(run, spec, Origin(table="table3", row="one-patch-vector", profile="demo"))
    metrics = {"mIoU": 23.25, "aErr": 0.5}
    with acquire(run) as owned:
        for number in range(3):
            owned.write_attempt(Attempt.now("start", progress=number))
            owned.write_attempt(Attempt.now("end", state="retry", cause="OSError: no space"))
        owned.write_status(Status.of_this_process("failed").model_copy(update={"step": 12, "values": {"loss": 0.25}}))
        owned.write_failure(Failure(cause="a", traceback="a\nb", time=1.5, host="c"))
        owned.write_environment({"commit": None, "threads": 3, "packages": {"torch": "2.14"}})
        selected = Selected(epoch=1, metrics=metrics)
        history = [{"epoch": epoch, "losses": {"loss": 0.5}, "test": metrics} for epoch in range(2)]
        owned.write_result(
            Result(
                run=run.id, selected={"last": selected}, epochs=2, images=8, parameters=17, seconds=1.5, device="cpu",
                history=history,
            )
        )  # fmt: skip
    request_stop(run, Stopped.now("cancelled", "by ada"))
    return run


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return whole_run(tmp_path)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", RECORDS)
def test_no_damaged_record_is_read_as_another(name: str, budget: int, run: RunDirectory) -> None:
    readings = read_damaged(run.folder / name, budget, lambda: RECORDS[name](run))
    assert (readings.different, readings.uncaught) == ([], [])


@pytest.mark.parametrize("budget", [60, pytest.param(3000, marks=pytest.mark.slow)])
def test_no_damaged_spec_is_read_as_another(budget: int, run: RunDirectory) -> None:
    readings = read_damaged(run.spec, budget, run.read_spec)
    assert (readings.different, readings.uncaught) == ([], [])


@pytest.mark.parametrize("budget", BUDGETS)
def test_no_damaged_event_log_is_continued(budget: int, run: RunDirectory) -> None:
    steps = [{"kind": "step", "step": step, "epoch": step // 4, "values": {"loss": 1 / 3}} for step in range(8)]
    epochs = [{"kind": "epoch", "step": 4 * epoch + 3, "epoch": epoch, "record": {"test": {}}} for epoch in range(2)]
    events = [*steps[:4], epochs[0], *steps[4:], epochs[1]]
    run.events.write_bytes(b"".join(encode(event, number) for number, event in enumerate(events)))
    readings = read_damaged(run.events, budget, lambda: verified_lines(run.events, 8, 2))
    assert (readings.different, readings.uncaught) == ([], [])


@pytest.mark.parametrize("budget", BUDGETS)
def test_no_damaged_checkpoint_is_resumed_from(budget: int, run: RunDirectory) -> None:
    state = {"epoch": 1, "learner": {"weight": torch.randn(4, 5), "count": torch.tensor(3)}, "sums": {"loss": 0.1}}
    save_checkpoint(run.checkpoint, ID, state)
    readings = read_damaged(run.checkpoint, budget, lambda: load_checkpoint(run.checkpoint, ID), same_state)
    assert (readings.different, readings.uncaught) == ([], [])


def same_state(one: Any, two: Any) -> bool:
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same_state(one[key], two[key]) for key in one)
    return torch.equal(one, two) if isinstance(one, torch.Tensor) else bool(one == two)


@pytest.mark.parametrize("name", RECORDS)
def test_the_record_of_another_run_is_damaged(name: str, run: RunDirectory, tmp_path: Path) -> None:
    other = whole_run(tmp_path / "others", SPEC.model_copy(update={"seed": 1}))
    (run.folder / name).write_bytes((other.folder / name).read_bytes())
    with pytest.raises(DamagedError, match=rf"{name}: is damaged .*--retry-failed"):
        RECORDS[name](run)
    assert list(run.damaged()) == [name]


@pytest.mark.parametrize("name", [name for name in RECORDS if name != "attempts.jsonl"])
def test_records_of_earlier_versions_are_read(name: str, run: RunDirectory) -> None:
    record = RECORDS[name](run)
    write_json(run.folder / name, record.model_dump(mode="json"))
    assert RECORDS[name](run) == record
    assert not run.damaged()


def test_attempts_of_earlier_versions_are_read(run: RunDirectory) -> None:
    attempts, path = run.attempts(), run.folder / "attempts.jsonl"
    path.write_bytes(path.read_bytes().partition(b"\n")[2])
    assert run.attempts() == attempts


def test_a_result_of_an_earlier_version_and_of_another_run_is_damaged(run: RunDirectory) -> None:
    result = run.result()
    assert result is not None
    write_json(run.folder / "result.json", {**result.model_dump(mode="json"), "run": "0" * 16})
    assert run.state() == "damaged"


@pytest.mark.parametrize("name", ["status.json", "failure.json", "stopped.json", "attempts.jsonl", "result.json"])
@pytest.mark.parametrize("damage", ["empty", "folder", "pipe", "loop", "text"])
def test_a_damaged_record_is_a_state_that_can_be_left(name: str, damage: str, run: RunDirectory) -> None:
    run.checkpoint.parent.mkdir()
    run.checkpoint.write_text("good")
    if name != "result.json":
        (run.folder / "result.json").unlink()
    put(run.folder / name, damage)
    assert run.state() == "damaged"
    assert list(run.damaged()) == [name]
    move_damaged_aside(run)
    assert run.state() in {"failed", "cancelled", "preempted"}
    assert run.damaged() == {}
    assert [path.name.partition("-")[0] for path in (run.folder / "damaged").iterdir()] == [name]
    assert run.checkpoint.read_text() == "good"
    assert set_aside(run) is not None


def put(path: Path, damage: str) -> None:
    path.unlink(missing_ok=True)
    match damage:
        case "empty":
            path.touch()
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path)
        case "text":
            path.write_text("[1, 2]")


@pytest.mark.parametrize("damage", ["empty", "pipe", "loop", "text"])
def test_a_request_replaces_a_damaged_spec_and_origin(damage: str, run: RunDirectory) -> None:
    put(run.spec, damage)
    put(run.folder / "origin.json", damage)
    origin = Origin(table="table2", row="a", profile="cpu")
    request_run(run, SPEC, origin)
    assert (run.read_spec(), run.origin()) == (SPEC, origin)


@pytest.mark.parametrize("name", ["notes.txt", ".nfs0123", "7", "-1", "9" * 30, "x"])
def test_a_stray_file_among_the_writers_stops_no_worker(name: str, run: RunDirectory) -> None:
    (run.folder / "writers" / name).write_text("stray")
    for _ in range(2):
        with acquire(run) as owned:
            owned.write_status(Status.of_this_process("training"))


def test_a_damaged_heartbeat_that_becomes_whole_is_an_owners(run: RunDirectory, monkeypatch: Any) -> None:
    path = run.folder / "status.json"
    alive = Status.of_this_process("training").model_copy(update={"host": "another"})
    path.write_bytes(b"")

    def sleep(seconds: float) -> None:
        write_json(path, alive.model_dump(mode="json"))

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(Exception, match="on another is working on it"), acquire(run):
        pass
