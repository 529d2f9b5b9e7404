from pathlib import Path

import pytest

from rdc_sweeps.dispatch.plan import plan
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.lock import exclusive
from rdc_sweeps.runs.records import Failure, Result, Status
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.specs import run as run_specs
from rdc_sweeps.specs.catalogue import Catalogue, Run
from tests.runs.writing import write_failure, write_result, write_status

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def runs(*settings: str, seeds: tuple[int, ...] = (0,)) -> list[Run]:
    return Catalogue(EXPERIMENTS).runs("table3", "demo", rows=["one-patch-vector"], seeds=seeds, settings=settings)


def mark(root: Path, run: Run, state: str) -> None:
    directory = RunDirectory(root, run.id)
    request_run(directory, run.spec)
    write_status(directory, Status.of_this_process("training"))
    if state == "failed":
        write_failure(directory, Failure(cause="disk full", traceback="", time=0, host=""))
    if state == "done":
        write_result(
            directory, Result(run=run.id, selected={}, epochs=1, images=1, parameters=1, seconds=1, device="cpu")
        )


def decided(root: Path, *, retry_failed: bool = False, rerun: bool = False) -> tuple[str, str]:
    (one,) = plan(runs(), root, retry_failed=retry_failed, rerun=rerun)
    return one.state, one.action


def test_new_runs_are_trained_once_however_often_they_are_asked_for(tmp_path: Path) -> None:
    planned = plan(runs() + runs(seeds=(0, 1)), tmp_path)
    assert [(one.run.spec.seed, one.state, one.action, one.reason) for one in planned] == [
        (0, "planned", "train", "new"),
        (1, "planned", "train", "new"),
    ]


def test_done_runs_are_skipped_unless_rerun(tmp_path: Path) -> None:
    mark(tmp_path, runs()[0], "done")
    assert decided(tmp_path) == ("done", "skip")
    assert decided(tmp_path, rerun=True) == ("done", "train")


def test_failed_runs_wait_for_retry_failed_and_say_why(tmp_path: Path) -> None:
    mark(tmp_path, runs()[0], "failed")
    (one,) = plan(runs(), tmp_path)
    assert one.action == "skip"
    assert "disk full" in one.reason
    assert decided(tmp_path, retry_failed=True) == ("failed", "train")


def test_interrupted_runs_go_on_from_their_checkpoint(tmp_path: Path) -> None:
    mark(tmp_path, runs()[0], "preempted")
    assert decided(tmp_path) == ("preempted", "train")
    checkpoint = RunDirectory(tmp_path, runs()[0].id).checkpoint
    checkpoint.parent.mkdir()
    checkpoint.touch()
    assert decided(tmp_path) == ("preempted", "resume")


def test_a_run_in_work_is_left_alone_even_by_rerun(tmp_path: Path) -> None:
    run = runs()[0]
    mark(tmp_path, run, "preempted")
    with exclusive(RunDirectory(tmp_path, run.id)):
        assert decided(tmp_path, rerun=True) == ("running", "skip")


def test_steps_are_epochs_times_whole_batches(tmp_path: Path) -> None:
    spec = runs()[0].spec
    (one,) = plan(runs(), tmp_path)
    assert spec.training.epochs is not None
    assert one.steps == spec.training.epochs * (spec.dataset.training_count // spec.training.batch_size)
    (one,) = plan(runs("training.epochs=null", "training.iterations=7"), tmp_path)
    assert one.steps == 7


def test_the_result_of_an_older_version_counts_for_nothing_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(run_specs, "SCHEMA_VERSION", run_specs.SCHEMA_VERSION - 1)
        old = runs()[0].id
        mark(tmp_path, runs()[0], "done")
        assert decided(tmp_path) == ("done", "skip")
    assert decided(tmp_path) == ("planned", "train")
    result = RunDirectory(tmp_path, old).result()
    assert result is not None
    assert result.run == old
