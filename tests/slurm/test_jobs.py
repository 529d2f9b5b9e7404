"""Small runs as real Slurm jobs: submitted once, trained once, retried or not, whatever happens to them."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.slurm.cluster import wait_for
from tests.slurm.sweeps import Sweeps, endings, kill, starts, steps, wait_for_step

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

LONG = ("--set", "training.epochs=30")
LONGER = ("--set", "training.epochs=120")
"""Long enough to be disturbed: 60 steps, each epoch with an evaluation and a checkpoint."""


def test_several_commands_at_once_submit_each_run_once(sweeps: Sweeps) -> None:
    commands = [sweeps.start("run", "tiny") for _ in range(3)]
    messages = [command.communicate(timeout=300)[1] for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0], messages
    assert sum("submitted 2 runs" in said for said in messages) == 1
    assert sum("Slurm job" in said and "skipped" in said for said in messages) == 2
    sweeps.wait_until_done()
    for run in sweeps.runs().values():
        assert len(starts(run)) == 1
        assert steps(run) == list(range(4))
    assert "2 of 2 runs are already done" in sweeps.call("run", "tiny")


def test_a_submitter_that_is_killed_behind_sbatch_is_found_out(sweeps: Sweeps, tmp_path: Path) -> None:
    sweeps.call("regions", "build", "tiny")  # so that no job for region maps is submitted before those of the runs
    wrappers = tmp_path / "bin"
    wrappers.mkdir()
    wrapper = wrappers / "sbatch"
    wrapper.write_text(f'#!/bin/sh\n{shutil.which("sbatch")} "$@"\ntouch {tmp_path}/accepted\nexec sleep 600\n')
    wrapper.chmod(0o755)
    submitter = sweeps.start("run", "tiny", *LONG, variables={"PATH": f"{wrappers}:{os.environ['PATH']}"})
    wait_for((tmp_path / "accepted").exists, "the submission")
    # With all that it started.
    os.killpg(submitter.pid, signal.SIGKILL)
    submitter.communicate()
    submitted = sweeps.cluster.jobs()
    assert len(submitted) == 2
    assert sweeps.call("run", "tiny", *LONG).count("skipped, Slurm job") == 2
    assert set(sweeps.cluster.jobs()) == set(submitted)
    sweeps.wait_until_done()
    assert [len(starts(run)) for run in sweeps.runs().values()] == [1, 1]


def test_a_job_next_to_a_process_that_trains_its_run_leaves_it_alone(sweeps: Sweeps) -> None:
    # What runs here finds the node taken: no job could make region maps ahead of its own.
    sweeps.call("regions", "build", "tiny")
    guard = sweeps.cluster.submit("sleep 600", "--partition=high", "--nodes=2", "--exclusive")
    sweeps.cluster.wait_for_state(guard, "RUNNING")
    sweeps.call("run", "tiny", "ours", *LONGER)
    run = sweeps.run("ours")
    by_hand = sweeps.start("worker", run.id)
    wait_for_step(run, 2)
    (job,) = sweeps.cluster.jobs("--partition=low")
    sweeps.cluster.call("scancel", guard)
    wait_for(lambda: job not in sweeps.cluster.jobs(), "the end of the job")
    assert sweeps.cluster.show(job)["ExitCode"] == "6:0"
    assert run.state() == "running"
    assert "working on it" in sweeps.call("run", "tiny", "ours", *LONGER)
    by_hand.send_signal(signal.SIGTERM)
    by_hand.communicate(timeout=300)
    assert run.state() == "preempted"
    assert steps(run) == list(range(len(steps(run))))
    assert len(steps(run)) > 2
    assert len(starts(run)) == 1


def test_a_node_that_fails_passes_its_run_on_and_never_two_train_it(sweeps: Sweeps) -> None:
    sweeps.call("run", "tiny", "ours", "--set", "training.epochs=100")
    run = sweeps.run("ours")
    first = wait_for_step(run, 3)
    assert first.job is not None
    node = sweeps.cluster.show(first.job)["NodeList"]
    # Slurm considers the node dead, but it only does not answer: its worker continues.
    sweeps.cluster.kill_node(node)
    wait_for(lambda: sweeps.cluster.show(str(first.job))["Restarts"] == "1", "the requeue")
    sweeps.cluster.wait_for_state(first.job, "RUNNING")
    assert sweeps.cluster.show(first.job)["NodeList"] != node
    later = wait_for_step(run, first.step + 20)
    assert later.token == first.token
    assert len(starts(run)) == 1
    kill(first.process)
    second = wait_for_step(run, 0, after=first.token)
    assert second.job == first.job
    assert run.deaths() <= 1
    sweeps.wait_until_done()
    assert steps(run) == list(range(200))
    assert len(starts(run)) == 2


def test_a_run_that_is_cancelled_while_it_waits_is_taken_from_the_queue(sweeps: Sweeps) -> None:
    guard = sweeps.cluster.submit("sleep 600", "--partition=high", "--nodes=2", "--exclusive")
    sweeps.cluster.wait_for_state(guard, "RUNNING")
    sweeps.call("run", "tiny")
    mtl, ours = sweeps.run("mtl"), sweeps.run("ours")
    assert "1 of 1 runs cancelled" in sweeps.call("cancel", ours.id)
    assert len(_tasks(sweeps)) == 1
    assert (mtl.state(), ours.state()) == ("planned", "cancelled")
    assert "submitted 1 runs" in sweeps.call("run", "tiny")
    assert len(_tasks(sweeps)) == 2
    sweeps.cluster.call("scancel", guard)
    sweeps.wait_until_done()
    assert [len(starts(run)) for run in (mtl, ours)] == [1, 1]


def _tasks(sweeps: Sweeps) -> list[str]:
    """The jobs that train; the one that computes region maps, if there is one, is no task of an array."""
    return [job for job in sweeps.cluster.jobs("--partition=low") if "_" in job]


def test_a_spec_that_fails_is_not_tried_again(sweeps: Sweeps) -> None:
    diverging = ("ours", "--set", "training.network.learning_rate=1.0e+18", "--set", "training.epochs=4")
    sweeps.call("run", "tiny", *diverging)
    run = sweeps.run("ours")
    wait_for(lambda: run.state() == "failed", "the failure")
    (job,) = {attempt.job for attempt in starts(run)}
    sweeps.wait_until_quiet()
    failure = run.failure()
    assert failure is not None
    assert "not finite" in failure.cause
    assert "DivergenceError" in failure.traceback
    assert len(starts(run)) == 1
    assert sweeps.cluster.show(str(job))["Restarts"] == "0"
    assert "--retry-failed" in sweeps.call("run", "tiny", *diverging, code=1)
    assert not sweeps.cluster.jobs()


def test_a_run_whose_worker_is_killed_again_and_again_fails(sweeps: Sweeps) -> None:
    # Epochs so long that no checkpoint comes between.
    endless = ("ours", "--set", "training.epochs=2", "--set", "dataset.train_images=600")
    sweeps.call("run", "tiny", *endless, variables={"RDC_SWEEP_RETRIES": "1"})
    run = sweeps.run("ours")
    first = wait_for_step(run, 1, seconds=300)
    kill(first.process)
    second = wait_for_step(run, 1, after=first.token)
    assert second.job == first.job
    kill(second.process)
    wait_for(lambda: run.state() == "failed", "the failure")
    sweeps.wait_until_quiet()
    failure = run.failure()
    assert failure is not None
    assert "its worker died 2 times in a row before its next checkpoint" in failure.cause
    assert f"Slurm job {first.job}" in failure.cause
    assert len(starts(run)) == 2


def test_runs_ended_by_scancel_resume_with_the_next_command(sweeps: Sweeps) -> None:
    sweeps.call("run", "tiny", "ours", *LONG)
    run = sweeps.run("ours")
    first = wait_for_step(run, 3)
    assert first.job is not None
    sweeps.cluster.call("scancel", first.job)
    sweeps.wait_until_quiet()
    assert run.state() == "preempted"
    assert endings(run) == ["preempted"]
    sweeps.call("run", "tiny", "ours", *LONG)
    second = wait_for_step(run, 0, after=first.token)
    assert second.job != first.job
    sweeps.wait_until_done()
    assert steps(run) == list(range(60))


def test_a_run_on_two_gpus_asks_for_two(sweeps: Sweeps) -> None:
    sweeps.call("regions", "build", "tiny")  # so that no job for region maps is submitted before that of the run
    sweeps.call("run", "tiny", "ours", "--node", "gpu", "--gpus-per-run", "2")
    (job,) = sweeps.cluster.jobs()
    shown = sweeps.cluster.show(job)
    assert shown["TresPerNode"] == "gres:gpu:a100:2"
    assert shown["NumCPUs"] == "2"
    sweeps.wait_until_done()
    assert steps(sweeps.run("ours")) == list(range(4))


def test_jobs_tell_that_their_runs_failed_and_the_last_one_that_the_sweep_has_ended(
    sweeps: Sweeps, tmp_path: Path
) -> None:
    notify = {"command": ["sh", "-c", f'echo "$RDC_NOTIFY_TITLE" >> {tmp_path}/inbox']}
    diverging = ("--set", "training.network.learning_rate=1e15")
    sweeps.call("run", "tiny", *LONG, *diverging, variables={"RDC_SWEEP_NOTIFY": json.dumps(notify)})
    runs = [sweeps.run(row) for row in ("mtl", "ours")]
    wait_for(lambda: all(run.state() == "failed" for run in runs), "the failures")
    sweeps.wait_until_quiet()
    *failures, end = (tmp_path / "inbox").read_text().splitlines()
    assert sorted(failures) == ["tiny/mtl seed 0 failed", "tiny/ours seed 0 failed"]
    assert end.endswith("has ended: 2 failed")
