"""Job files carried out by bash, with faked Slurm commands."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rdc_sweeps.dispatch.plan import Planned
from rdc_sweeps.dispatch.slurm.submissions import SubmissionDirectory
from rdc_sweeps.dispatch.slurm.submitter import submit
from rdc_sweeps.runs.states import WorkerExit, should_restart
from rdc_sweeps.settings import Notify, Settings
from rdc_sweeps.specs.catalogue import Run
from tests.dispatch.slurm.scheduler import Scheduler

Look = Callable[[], list[Planned]]


@pytest.fixture
def job(scheduler: Scheduler, settings: Settings, look: Look) -> str:
    """An array of twelve runs."""
    array = submit(look, settings, prepare=False, rerun=False).arrays[0]
    assert array.job is not None
    return array.job


def requeued(scheduler: Scheduler) -> list[str]:
    return [call[1] for call in scheduler.calls("scontrol") if call[0] == "requeue"]


@pytest.mark.parametrize("code", [*WorkerExit, 2, 130, 137, 139, 143])
def test_a_job_is_queued_again_if_its_worker_asks_for_it_or_was_killed(
    scheduler: Scheduler, job: str, code: int
) -> None:
    scheduler.behave("worker", f"{code} counted")
    assert scheduler.execute(job, 4, restarts=100) == code
    assert requeued(scheduler) == ([f"{job}_4"] if should_restart(code) else [])


@pytest.mark.parametrize("code", [1, 2, 127, 75, 137])
def test_a_worker_that_never_began_is_tried_again_a_few_times(scheduler: Scheduler, job: str, code: int) -> None:
    scheduler.behave("worker", str(code))
    assert scheduler.execute(job, 0, restarts=4) == code
    assert requeued(scheduler) == [f"{job}_0"]
    assert scheduler.execute(job, 0, restarts=5) == code
    assert len(requeued(scheduler)) == 1


@pytest.mark.parametrize("code", [*WorkerExit, 137])
def test_ends_for_good_are_notified_and_the_exit_code_stays(
    scheduler: Scheduler, settings: Settings, look: Look, code: int, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told; exit 5\n')
    python.chmod(0o755)
    own = settings.model_copy(update={"notify": Notify(command=("true",)), "nodes": {"a100": {"python": str(python)}}})
    array = submit(look, own, prepare=False, rerun=False).arrays[0]
    assert array.job is not None
    scheduler.behave("worker", f"{code} counted")
    assert scheduler.execute(array.job, 0, restarts=100) == code
    told = (tmp_path / "told").read_text() if (tmp_path / "told").exists() else ""
    good = {WorkerExit.DONE, WorkerExit.FAILED, WorkerExit.STOPPED, WorkerExit.PARKED}
    assert told.count("notify --settings") == (code in good)


def test_a_preempted_worker_is_always_queued_again(scheduler: Scheduler, job: str) -> None:
    scheduler.behave("worker", str(WorkerExit.PREEMPTED))
    scheduler.execute(job, 0, restarts=50)
    assert requeued(scheduler) == [f"{job}_0"]


@pytest.mark.parametrize("state", ["COMPLETING", "CANCELLED", "PENDING", "TIMEOUT"])
def test_a_job_that_is_ending_already_is_left_alone(scheduler: Scheduler, job: str, state: str) -> None:
    scheduler.behave("worker", f"{WorkerExit.PREEMPTED} counted")
    scheduler.behave("job-state", state)
    assert scheduler.execute(job, 0) == WorkerExit.PREEMPTED
    assert requeued(scheduler) == []


def test_a_controller_that_is_away_is_asked_again(scheduler: Scheduler, job: str) -> None:
    scheduler.behave("worker", f"{WorkerExit.PREEMPTED} counted")
    scheduler.behave("fail-scontrol", "Unable to contact slurm controller", times=5)
    assert scheduler.execute(job, 0) == WorkerExit.PREEMPTED
    assert requeued(scheduler)[-1] == f"{job}_0"
    assert scheduler.calls("sleep").count(["15"]) == 5


def test_a_controller_that_stays_away_is_given_up(scheduler: Scheduler, job: str) -> None:
    scheduler.behave("worker", f"{WorkerExit.PREEMPTED} counted")
    scheduler.behave("fail-scontrol", "Unable to contact slurm controller")
    assert scheduler.execute(job, 0) == WorkerExit.PREEMPTED
    assert len(scheduler.calls("sleep")) == 40


def test_each_task_works_on_its_run(scheduler: Scheduler, job: str, settings: Settings, table: list[Run]) -> None:
    scheduler.behave("worker", "0")
    for task in (0, 11):
        scheduler.execute(job, task)
        (call,) = scheduler.calls("srun")[-1:]
        assert call[call.index("worker") + 1] == table[task].id
        assert call[-2] == "--settings"


def test_a_node_without_the_shared_disk_is_left_for_another(scheduler: Scheduler, job: str, settings: Settings) -> None:
    submission = next(iter((settings.root / "submissions").glob("2*")))
    SubmissionDirectory(settings.root, submission.name).runs.unlink()
    assert scheduler.execute(job, 0) == WorkerExit.RETRY
    assert scheduler.calls("srun") == []
    assert requeued(scheduler) == [f"{job}_0"]


def test_a_killed_preparation_resumes(scheduler: Scheduler, settings: Settings, look: Look) -> None:
    preparation = submit(look, settings, prepare=True, rerun=False).preparation
    assert preparation is not None
    assert preparation.job is not None
    scheduler.behave("worker", "140")
    scheduler.execute(preparation.job, None)
    assert requeued(scheduler) == [preparation.job]


def test_setup_comes_ahead_of_the_worker(scheduler: Scheduler, settings: Settings, look: Look) -> None:
    profile = {"setup": ["export GREETING='from setup'"], "python": "env"}
    own = settings.model_copy(update={"nodes": {"a100": profile}})
    array = submit(look, own, prepare=False, rerun=False).arrays[0]
    assert array.job is not None
    scheduler.behave("worker", "0")
    assert scheduler.execute(array.job, 0) == 0
    text = next((settings.root / "submissions").glob("2*/job.sbatch")).read_text()
    assert text.index("from setup") < text.index("srun ")
