"""status, logs and cancel of runs that were submitted to Slurm."""

import json
from pathlib import Path

import pytest

from rdc_sweeps.dispatch.slurm.submissions import Submission, SubmissionDirectory
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Origin, Status
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.specs.catalogue import Catalogue
from tests.cli.conftest import Cli
from tests.dispatch.slurm.scheduler import Scheduler
from tests.runs.writing import write_origin, write_status

ROWS = ["mtl", "ours"]


@pytest.fixture
def scheduler(tmp_path: Path) -> Scheduler:
    return Scheduler(tmp_path / "scheduler")


@pytest.fixture
def submitted(tmp_path: Path, experiments: Path, scheduler: Scheduler) -> dict[str, RunDirectory]:
    """Both rows as an array of jobs that wait."""
    directories = {}
    for run in Catalogue(experiments).runs("tiny", "small"):
        directories[run.row.id] = directory = RunDirectory(tmp_path / "runs", run.id)
        request_run(directory, run.spec)
        write_origin(directory, Origin(table="tiny", row=run.row.id, profile="small"))
    submission = SubmissionDirectory(tmp_path / "runs", "20260101-000000-abcdef")
    submission.log.mkdir(parents=True)
    submission.runs.write_text("".join(f"{directories[row].id}\n" for row in ROWS))
    record = Submission(
        id=submission.id, kind="runs", time=0, host="h", user="u", table="tiny", node="cpu", runs=2, job="1000"
    )
    submission.write(record)
    job = {"name": record.name, "tasks": {"0": "PENDING", "1": "PENDING"}, "options": {}}
    (scheduler.state / "1000.json").write_text(json.dumps(job))
    return directories


def test_runs_with_a_job_are_queued_and_cancelled_with_it(
    cli: Cli, scheduler: Scheduler, submitted: dict[str, RunDirectory]
) -> None:
    shown = cli("status", "tiny", PATH=scheduler.path)
    assert "2 runs: 2 queued" in shown.stdout
    assert "job 1000_1 (Resources)" in shown.stdout
    one = cli("cancel", submitted["ours"].id[:8], PATH=scheduler.path)
    assert one.returncode == 0
    assert "tiny/ours seed 0" in one.stderr
    assert "was queued, Slurm job 1000_1 ended" in one.stderr
    assert scheduler.calls("scancel") == [["1000_1"]]
    assert "2 runs: 1 queued, 1 cancelled" in cli("status", "tiny", PATH=scheduler.path).stdout


def test_a_job_that_ended_before_its_run_is_reported(
    cli: Cli, scheduler: Scheduler, submitted: dict[str, RunDirectory]
) -> None:
    scheduler.set_state("1000", 0, "NODE_FAIL")
    write_status(submitted["mtl"], Status.of_this_process("training"))
    shown = cli("status", PATH=scheduler.path)
    assert "2 runs: 1 queued, 1 preempted" in shown.stdout
    assert "! mtl seed 0: Slurm job 1000_0 has ended (NODE_FAIL)" in shown.stdout


def test_a_slurm_that_does_not_answer_hides_nothing_else(
    cli: Cli, scheduler: Scheduler, submitted: dict[str, RunDirectory]
) -> None:
    scheduler.behave("fail-squeue", "Unable to contact slurm controller")
    shown = cli("status", "tiny", PATH=scheduler.path)
    assert shown.returncode == 0
    assert "2 runs: 2 planned" in shown.stdout
    assert "queued jobs are not shown: squeue: squeue: error: Unable to contact" in " ".join(shown.stderr.split())
    cancelled = cli("cancel", "tiny", PATH=scheduler.path)
    assert cancelled.returncode == 5
    assert {directory.state() for directory in submitted.values()} == {"cancelled"}


def test_slurm_is_not_asked_where_nothing_was_submitted(cli: Cli, scheduler: Scheduler) -> None:
    cli("status", "tiny", PATH=scheduler.path)
    assert scheduler.calls("squeue") == []


def test_the_job_log_is_shown_until_a_worker_starts(
    cli: Cli, tmp_path: Path, scheduler: Scheduler, submitted: dict[str, RunDirectory]
) -> None:
    folder = tmp_path / "runs" / "submissions" / "20260101-000000-abcdef" / "log"
    (folder / "1000_1_0_log.out").write_text("module: command not found\n")
    shown = cli("logs", submitted["ours"].id)
    assert shown.stdout == "module: command not found\n"
    assert "no worker has started" in shown.stderr
    submitted["ours"].log.write_text("training\n")
    shown = cli("logs", submitted["ours"].id)
    assert shown.stdout == "training\n"
    assert "1000_1_0_log.out" in shown.stderr
