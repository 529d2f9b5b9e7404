"""What is told of a sweep, and when."""

import os
import time
from pathlib import Path

import pytest

import rdc_sweeps.notifications.messages
from rdc_sweeps.dispatch.slurm.queue import Job
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.notifications.messages import Message, outlook
from rdc_sweeps.notifications.sweeps import Sweep
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.records import Status
from rdc_sweeps.tuning.study_workers import work_on_study
from tests.monitoring.conftest import Bench
from tests.notifications.conftest import fail, watch
from tests.tuning.conftest import Open, Where, journal, opened, tuned  # noqa: F401 (fixtures)
from tests.tuning.simulation import Simulation, settings

HOUR = 3600.0


def told(sweep: Sweep, root: Path, *, later: float = 0.0) -> list[Message]:
    """What is to be told so many seconds later."""
    return list(outlook(sweep, root, time.time() + later, HOUR).messages)


def step(run: RunDirectory, age: float = 0.0) -> None:
    """Log a step, so many seconds ago."""
    run.events.touch()
    os.utime(run.events, (time.time() - age,) * 2)


def test_a_sweep_in_which_nothing_moves_has_stalled_once_per_standstill(bench: Bench) -> None:
    run = bench.run(0, "preempted")
    sweep = watch(bench.root, run, opened=time.time() - 10 * HOUR)
    step(run, age=30)
    assert told(sweep, bench.root) == []
    (first,) = told(sweep, bench.root, later=HOUR)
    assert first.title == "table3 under profile demo: nothing has moved for 60 minutes"
    assert first.runs == (run.id,)
    (second,) = told(sweep, bench.root, later=2 * HOUR)
    assert second.key == first.key
    step(run)
    (again,) = told(sweep, bench.root, later=2 * HOUR)
    assert again.key != first.key


def test_heartbeats_are_no_movement(bench: Bench) -> None:
    run = bench.run(0, "planned")
    sweep = watch(bench.root, run, opened=time.time() - 10 * HOUR)
    step(run, age=2 * HOUR)
    with acquire(run) as owned:
        owned.write_status(Status.of_this_process("training"))
        assert [message.occasion for message in told(sweep, bench.root)] == ["stalled"]


def test_before_the_first_step_nothing_has_stalled(bench: Bench) -> None:
    run = bench.run(0, "planned")
    step(run, age=20 * HOUR)
    sweep = watch(bench.root, run, opened=time.time() - 10 * HOUR)
    assert told(sweep, bench.root) == []


@pytest.mark.parametrize("jobs", [None, True, False])
def test_waiting_for_slurm_is_no_standstill(jobs: bool | None, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench.run(0, "preempted")
    step(run, age=2 * HOUR)

    def queue(root: Path) -> dict[str, Job]:
        if jobs is None:
            raise UnavailableError("squeue: no answer")
        return {run.id: Job("1_0", "PENDING", "Priority", "s")} if jobs else {}

    monkeypatch.setattr(rdc_sweeps.notifications.messages, "jobs_of", queue)
    sweep = watch(bench.root, run, opened=time.time() - 10 * HOUR, slurm=True)
    assert [message.occasion for message in told(sweep, bench.root)] == ([] if jobs or jobs is None else ["stalled"])


def test_an_old_failure_is_not_news(bench: Bench) -> None:
    run, other = bench.run(0, "planned"), bench.run(1, "planned")
    fail(run)
    os.utime(run.folder / "failure.json", (time.time() - HOUR,) * 2)
    sweep = watch(bench.root, run, other)
    assert told(sweep, bench.root) == []
    fail(other, "out of memory")
    assert [message.occasion for message in told(sweep, bench.root)] == ["failed", "ended"]


def test_a_sweep_that_begins_with_failed_runs_has_not_ended(bench: Bench) -> None:
    run = bench.run(0, "failed")
    for path in run.folder.iterdir():
        os.utime(path, (time.time() - HOUR,) * 2)
    assert told(watch(bench.root, run), bench.root) == []


def test_the_end_names_what_is_not_done_and_why(bench: Bench) -> None:
    runs = [bench.run(seed, state) for seed, state in enumerate(("done", "cancelled", "planned"))]
    fail(runs[2], "RuntimeError: \x1b[31mCUDA out of memory")
    (_, message) = told(watch(bench.root, *runs), bench.root)
    assert message.title == "table3 under profile demo has ended: 1 done, 1 cancelled, 1 failed"
    assert "cancelled: by ada" in message.text
    assert "CUDA out of memory" in message.text
    assert "\x1b" not in message.text
    assert message.text.endswith("rdc-sweep report table3")


def test_the_end_of_what_is_not_finished_is_told_again_after_another_try(bench: Bench) -> None:
    runs = [bench.run(0, "done"), bench.run(1, "preempted")]
    keys = [told(watch(bench.root, *runs, opened=began, ended=True), bench.root)[0].key for began in (1.0, 1.0, 2.0)]
    # The record that is there keeps its beginning; another sweep has another.
    assert keys[0] == keys[1] != keys[2]


def test_many_causes_are_cut(bench: Bench) -> None:
    runs = [bench.run(seed, "cancelled") for seed in range(14)]
    (message,) = told(watch(bench.root, *runs), bench.root)
    assert "and 4 more" in message.text


def test_a_study_ends_when_its_command_does(bench: Bench) -> None:
    bench.run(0, "done", study="tau")
    other = bench.run(1, "done")
    sweep = watch(bench.root, study="tau", about="study tau")
    assert told(sweep, bench.root) == []
    (message,) = told(sweep.model_copy(update={"ended": True}), bench.root)
    assert message.title == "study tau has ended: 1 done"
    assert other.id not in message.runs


def test_what_another_process_still_trains_has_not_ended(bench: Bench) -> None:
    runs = [bench.run(0, "done"), bench.run(1, "preempted")]
    sweep = watch(bench.root, *runs, ended=True)
    with acquire(runs[1]):
        assert told(sweep, bench.root) == []
    (message,) = told(sweep, bench.root)
    assert message.title == "table3 under profile demo has ended: 1 done, 1 preempted"


def test_a_study_that_slurm_trains_ends_with_its_trials(journal: Where, opened: Open) -> None:  # noqa: F811
    opened(journal, 3, epochs=2)
    sweep = watch(journal.root, study=journal.name, about="study example", slurm=True)
    work_on_study(journal.root, journal.name, settings(journal.root), 2, work=Simulation())
    assert told(sweep, journal.root) == []
    work_on_study(journal.root, journal.name, settings(journal.root), 3, work=Simulation())
    (message,) = told(sweep, journal.root)
    assert message.occasion == "ended"
    assert message.text.startswith("3 of 3 trials are finished; the best is trial ")
