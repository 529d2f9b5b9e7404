import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.dispatch.slurm.scheduler import Scheduler

SLURM = ("--executor", "slurm", "--node", "cpu")


@pytest.fixture
def scheduler(tmp_path: Path) -> Scheduler:
    return Scheduler(tmp_path / "scheduler")


def test_a_dry_run_shows_the_job_file_and_touches_nothing(cli: Cli, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    shown = cli("run", "tiny", "--executor", "slurm", "--dry-run", PYTHONPROFILEIMPORTTIME="1")
    assert shown.returncode == 0, shown.stderr
    assert "#SBATCH --array=0-1%2" in shown.stdout
    assert "#SBATCH --gres=gpu:a100:1" in shown.stdout
    assert "2 of 2 runs to do" in shown.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert "pydantic" in shown.stderr
    assert not {"torch", "wandb"} & {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}


def test_a_profile_of_the_project_file_is_used(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "rdc-sweep.toml").write_text(
        'executor = "slurm"\nnode = "lab"\n[nodes.lab]\nextends = "a100"\npartition = "gpu"\n'
    )
    assert "#SBATCH --partition=gpu" in cli("run", "tiny", "-n").stdout
    assert "#SBATCH --gres=gpu:a100:2" in cli("run", "tiny", "-n", "--gpus-per-run", "2").stdout
    unknown = cli("run", "tiny", "-n", "--node", "v100")
    assert unknown.returncode == 2
    assert "lab" in unknown.stderr


def test_without_slurm_nothing_is_written(cli: Cli, tmp_path: Path) -> None:
    refused = cli("run", "tiny", "mtl", *SLURM, PATH=str(tmp_path))
    assert refused.returncode == 5
    assert "login node" in refused.stderr
    assert not list((tmp_path / "runs").glob("*/spec.yaml"))
    assert not list((tmp_path / "runs" / "submissions").glob("*/*"))


@pytest.mark.slow
def test_a_sweep_is_submitted_and_finishes_by_itself(cli: Cli, tmp_path: Path, scheduler: Scheduler) -> None:
    # Region maps of its own to make, whatever other tests have made.
    own = {"PATH": scheduler.path, "RDC_SWEEP_CACHE_ROOT": str(tmp_path / "cache")}
    submitted = cli("run", "tiny", *SLURM, **own)
    assert submitted.returncode == 0, submitted.stderr
    assert "submitted 2 runs as Slurm job" in submitted.stderr
    preparation, array = scheduler.jobs()
    assert scheduler.jobs()[array]["options"]["dependency"] == f"afterok:{preparation}"
    entries = json.loads(cli("run", "tiny", *SLURM, "-n", "--json", **own).stdout)
    assert {entry["reason"] for entry in entries} == {
        f"Slurm job {array}_{task} (PENDING, Resources)" for task in (0, 1)
    }
    again = cli("run", "tiny", *SLURM, **own)
    assert again.returncode == 0
    assert "skipped, Slurm job" in again.stderr
    assert len(scheduler.jobs()) == 2

    assert scheduler.execute(preparation, None) == 0, (scheduler.state / "output").read_text()
    scheduler.set_state(preparation, "N/A", "COMPLETED")
    assert list((tmp_path / "runs" / "submissions").glob("*/prepared"))
    for task in (0, 1):
        assert scheduler.execute(array, task) == 0, (scheduler.state / "output").read_text()
        scheduler.set_state(array, task, "COMPLETED")
    last = cli("run", "tiny", *SLURM, **own)
    assert "2 of 2 runs are already done" in last.stderr
    assert len(scheduler.jobs()) == 2
    report = cli("report", "tiny", "--format", "csv", "--strict")
    assert report.returncode == 0, report.stderr
