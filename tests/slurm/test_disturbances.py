"""Rows of table 3 at demo scale on a cluster where everything goes wrong, against those rows trained in peace."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Status
from tests.slurm.cluster import Cluster, wait_for
from tests.slurm.sweeps import Sweeps, endings, kill, starts
from tests.tracking.backend import Backend

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ROWS = (
    "one-patch-vector", "one-patch-gaussian", "one-region-vector", "one-region-pixel",
    "one-region-gaussian", "rand-patch-pixel", "rand-region-vector", "rand-region-gaussian",
)  # fmt: skip
"""More than are disturbed, since a run may pass by while another is."""

STEPS = 64
"""Of each run."""

OPTIONS = (
    "--profile", "demo", "--set", "dataset.size=[64, 64]",
    "--experiments", str(Path(__file__).parents[2] / "experiments"),
)  # fmt: skip


class Disturber:
    """Picks runs in the middle of their work that nothing has happened to yet."""

    def __init__(self, sweeps: Sweeps, spared: str) -> None:
        self.sweeps, self.spared_job = sweeps, spared
        self.disturbed: set[str] = set()

    def victim(self, first_step: int = 4, seconds: float = 1200.0) -> tuple[RunDirectory, Status]:
        """A run that has come to `first_step` and is not about to end, and its heartbeat."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for run in self.sweeps.runs().values():
                status = run.status()
                if run.id in self.disturbed or status is None or not status.live or status.job == self.spared_job:
                    continue
                if first_step <= status.step <= STEPS - 20:
                    self.disturbed.add(run.id)
                    return run, status
            time.sleep(0.05)
        raise TimeoutError("no run to disturb")


def test_disturbed_runs_end_bit_equal_to_undisturbed_ones(sweeps: Sweeps, tmp_path: Path) -> None:
    cluster = sweeps.cluster
    undisturbed = {"RDC_SWEEP_ROOT": str(tmp_path / "undisturbed"), "RDC_SWEEP_EXECUTOR": "local"}
    with Backend() as backend:
        tracked = {
            "RDC_SWEEP_WANDB": "online",
            "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
            "WANDB_BASE_URL": backend.url,
        }
        said = sweeps.call("run", "table3", *ROWS, *OPTIONS, variables=tracked)
        assert f"submitted {len(ROWS)} runs" in said
        limited = _limit_the_time_of_the_last(cluster)
        disturber = Disturber(sweeps, limited)
        preempted = _preempt(cluster, disturber)
        # Behind its first checkpoint: an epoch has sixteen steps.
        requeued, status = disturber.victim(18)
        cluster.call("scontrol", "requeue", str(status.job))
        killed, status = disturber.victim(18)
        kill(status.process)
        cancelled, _ = disturber.victim()
        assert "1 of 1 runs cancelled" in sweeps.call("cancel", cancelled.id)
        wait_for(lambda: cluster.show(limited)["Restarts"] != "0", "the end of the time", 1200)
        cluster.call("scontrol", "update", f"jobid={limited}", "timelimit=30")
        runs = sweeps.runs()

        def of_limited() -> list[RunDirectory]:
            return [run for run in runs.values() if [start.job for start in starts(run)][:1] == [limited]]

        # Its time may have ended before its worker began.
        wait_for(lambda: bool(of_limited()), "the run whose time ended", 1200)
        (out_of_time,) = of_limited()
        disturbed = {row: run for row, run in runs.items() if run.id in {*disturber.disturbed, out_of_time.id}}
        assert len(disturbed) == 5
        peace = sweeps.start("run", "table3", *disturbed, *OPTIONS, "--max-parallel", "2", variables=undisturbed)
        sweeps.wait_until_quiet(2400)
        assert {run.id for run in runs.values() if run.state() != "done"} == {cancelled.id}
        assert cancelled.state() == "cancelled"
        assert "submitted 1 runs" in sweeps.call("run", "table3", *ROWS, *OPTIONS, variables=tracked)
        sweeps.wait_until_done(600)
        assert len(runs) == len(ROWS)

        for run in (preempted, requeued, killed, cancelled):
            assert len(starts(run)) == 2, run.attempts()
        assert endings(preempted) == endings(requeued) == endings(cancelled) == ["preempted", "done"]
        assert endings(killed) == ["done"]
        assert endings(out_of_time)[-1] == "done"
        assert set(backend.runs) == {run.id for run in runs.values()}
        for run in runs.values():
            _check_tracking(backend, run)

    _, said = peace.communicate(timeout=1800)
    assert peace.returncode == 0, said
    for run in disturbed.values():
        peaceful = RunDirectory(tmp_path / "undisturbed", run.id)
        assert _result(run) == _result(peaceful)
        assert run.events.read_text() == peaceful.events.read_text()


def _limit_the_time_of_the_last(cluster: Cluster) -> str:
    """Give the last job a minute, and its number back. Slurm warns it within its first half minute."""
    # A job of its own computes the region maps first.
    tasks = [job for job in cluster.jobs() if "_" in job]
    assert len(tasks) == len(ROWS)
    job = max(tasks, key=lambda job: int(job.partition("_")[2]))
    cluster.call("scontrol", "update", f"jobid={job}", "timelimit=1")
    return job


def _preempt(cluster: Cluster, disturber: Disturber) -> RunDirectory:
    run, status = disturber.victim()
    assert status.job is not None
    node = cluster.show(status.job)["NodeList"]
    cluster.submit("sleep 1", "--partition=high", "--exclusive", f"--nodelist={node}")
    wait_for(lambda: cluster.show(str(status.job))["Restarts"] == "1", "the preemption")
    return run


def _check_tracking(backend: Backend, run: RunDirectory) -> None:
    """One W&B run that received every step once."""
    stored, result = backend.runs[run.id], run.result()
    assert result is not None
    assert [row["_step"] for row in stored.history] == list(range(STEPS))
    assert len(stored.series("loss")) == STEPS
    epochs = [value for _, value in stored.series("test/mIoU")]
    assert epochs == [record["test"]["mIoU"] for record in json.loads(_result(run))["history"]]
    assert stored.exit_code == 0


def _result(run: RunDirectory) -> str:
    """The result without what may differ between executions, as text, in which NaN equals NaN."""
    result: dict[str, Any] = json.loads((run.folder / "result.json").read_text())
    del result["seconds"], result["checksum"]
    return json.dumps(result, sort_keys=True)
