import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rdc_sweeps.dispatch.slurm.queue import Job
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.monitoring import cancellation
from rdc_sweeps.monitoring.cancellation import cancel
from rdc_sweeps.monitoring.views import Subject
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.lock import exclusive
from tests.monitoring.conftest import Bench
from tests.runs.writing import write_status

HOLDER = """
import sys, time
from pathlib import Path
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.records import Status
with acquire(RunDirectory(Path(sys.argv[1]), sys.argv[2])) as run:
    run.write_status(Status.of_this_process("training"))
    print("held", flush=True)
    time.sleep(600)
"""


def holder(directory: RunDirectory) -> subprocess.Popen[str]:
    """A process that works on a run."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory.root), directory.id], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("state", ["done", "failed", "cancelled", "pruned"])
def test_ended_runs_are_not_changed(bench: Bench, state: str) -> None:
    directory = bench.run(0, state)
    before = directory.stopped()
    (outcome,) = cancel([Subject(directory.id)], bench.root).outcomes
    assert (outcome.before, outcome.done) == (state, [])
    assert directory.stopped() == before


@pytest.mark.parametrize("state", ["planned", "preempted"])
def test_what_waits_is_cancelled_by_its_record_alone(bench: Bench, state: str) -> None:
    directory = bench.run(0, state)
    (outcome,) = cancel([Subject(directory.id)], bench.root).outcomes
    assert outcome.before == state
    assert outcome.done
    assert directory.state() == "cancelled"


def test_a_run_without_a_directory_gets_none(tmp_path: Path) -> None:
    (outcome,) = cancel([Subject("0" * 16)], tmp_path).outcomes
    assert (outcome.before, outcome.done) == ("planned", [])
    assert not list(tmp_path.iterdir())


def test_a_worker_on_this_host_is_signalled_immediately(bench: Bench) -> None:
    directory = bench.run(0, "planned")
    process = holder(directory)
    try:
        (outcome,) = cancel([Subject(directory.id)], bench.root).outcomes
        assert (outcome.before, outcome.done) == ("running", ["signalled to stop"])
        assert process.wait(30) == -signal.SIGTERM
        assert directory.state() == "cancelled"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("change", [{"host": "node7"}, {"time": 1.0}, {"process": 2**22 + 1}])
def test_no_process_is_signalled_that_is_not_the_worker(bench: Bench, change: dict[str, object]) -> None:
    directory = bench.run(0, "planned")
    process = holder(directory)
    try:
        status = directory.status()
        assert status is not None
        write_status(directory, status.model_copy(update=change))
        (outcome,) = cancel([Subject(directory.id)], bench.root).outcomes
        assert outcome.done == ["stops at its next heartbeat"]
        time.sleep(0.2)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_jobs_that_wait_are_removed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, running = bench.run(0, "planned"), bench.run(1, "preempted")
    jobs = {
        waiting.id: Job("7_0", "PENDING", "Priority", "s"),
        running.id: Job("7_1", "RUNNING", "None", "s"),
    }
    ended: list[str] = []
    monkeypatch.setattr(cancellation, "jobs_of", lambda _: jobs)
    monkeypatch.setattr(cancellation, "end_jobs", lambda some: ended.extend(job.job_id for job in some))
    status = running.status()
    assert status is not None
    write_status(running, status.model_copy(update={"host": "node7"}))
    with exclusive(running):
        outcomes = cancel([Subject(waiting.id), Subject(running.id)], bench.root).outcomes
    assert [(one.before, one.done) for one in outcomes] == [
        ("queued", ["Slurm job 7_0 ended"]),
        ("running", ["stops at its next heartbeat"]),
    ]
    assert ended == ["7_0"]


def test_without_an_answer_of_slurm_the_record_still_counts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(root: Path) -> dict[str, Job]:
        raise UnavailableError("squeue: timed out")

    monkeypatch.setattr(cancellation, "jobs_of", silent)
    directory = bench.run(0, "planned")
    assert cancel([Subject(directory.id)], bench.root).problem == "squeue: timed out"
    stopped = directory.stopped()
    assert stopped is not None
    assert stopped.detail.endswith(os.uname().nodename)
