import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from rdc_sweeps.runs.events import read_events
from tests.cli.conftest import Cli

RUN = [sys.executable, "-m", "rdc_sweeps", "run", "tiny"]


def plan(cli: Cli, *arguments: str) -> dict[str, tuple[str, str]]:
    entries = json.loads(cli("run", "tiny", "-n", "--json", *arguments).stdout)
    return {entry["row"]: (entry["state"], entry["action"]) for entry in entries}


def results(root: Path) -> dict[str, dict[str, Any]]:
    """Result of each row, without what may differ between two executions."""
    found = {}
    for folder in root.iterdir():
        if (folder / "result.json").exists():
            result = json.loads((folder / "result.json").read_text())
            del result["seconds"], result["checksum"]
            found[json.loads((folder / "origin.json").read_text())["row"]] = result
    return found


def test_a_sweep_trains_once_reports_and_skips_the_second_time(cli: Cli, tmp_path: Path) -> None:
    first = cli("run", "tiny")
    assert first.returncode == 0, first.stderr
    assert "tiny/ours seed 0: done, epoch 2 of 2" in first.stderr
    assert first.stdout == ""
    assert plan(cli) == {"mtl": ("done", "skip"), "ours": ("done", "skip")}
    modified = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    second = cli("run", "tiny")
    assert second.returncode == 0
    assert "2 of 2 runs are already done" in second.stderr
    assert modified == {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    report = cli("report", "tiny", "--format", "csv", "--strict")
    assert report.returncode == 0, report.stderr
    assert "40.24" in report.stdout
    assert len(results(tmp_path / "runs")["ours"]["history"]) == 2
    run_id = results(tmp_path / "runs")["ours"]["run"]
    shown = cli("show", run_id[:6])
    assert "tiny/ours under profile small" in shown.stdout
    again = cli("run", "tiny", "ours", "--rerun")
    assert again.returncode == 0
    assert len(list((tmp_path / "runs" / "replaced").iterdir())) == 1


def test_killed_and_interrupted_runs_end_as_if_nothing_had_happened(
    cli: Cli, environment: dict[str, str], tmp_path: Path
) -> None:
    longer = ["--set", "training.epochs=6"]
    undisturbed = cli("run", "tiny", *longer, RDC_SWEEP_ROOT=str(tmp_path / "undisturbed"))
    assert undisturbed.returncode == 0
    # Kill -9 of a worker in its work: the sweep starts it again. Then Ctrl-C of the sweep.
    sweep = start([*RUN, *longer], environment, tmp_path)
    status = wait_for_step(tmp_path / "runs", 3)
    os.kill(status["process"], signal.SIGKILL)
    wait_for_step(tmp_path / "runs", 3, after=status["token"])
    os.killpg(sweep.pid, signal.SIGINT)
    _, messages = sweep.communicate(timeout=120)
    assert sweep.returncode == 130, messages
    assert "Traceback" not in messages
    assert ("preempted", "resume") in plan(cli, *longer).values()
    # More threads now; but a run keeps the number that it began with.
    assert cli("run", "tiny", *longer, RDC_SWEEP_THREADS="2").returncode == 0
    assert results(tmp_path / "runs") == results(tmp_path / "undisturbed")
    for folder in (tmp_path / "runs").iterdir():
        events = read_events(folder / "events.jsonl")
        assert [event["step"] for event in events if event["kind"] == "step"] == list(range(12))
        calm = tmp_path / "undisturbed" / folder.name / "events.jsonl"
        assert (folder / "events.jsonl").read_bytes() == calm.read_bytes()


@pytest.mark.slow
def test_a_terminated_sweep_leaves_its_runs_resumable(cli: Cli, environment: dict[str, str], tmp_path: Path) -> None:
    longer = ["ours", "--set", "training.epochs=50"]
    sweep = start([*RUN, *longer], environment, tmp_path)
    status = wait_for_step(tmp_path / "runs", 1)
    sweep.terminate()
    _, messages = sweep.communicate(timeout=120)
    assert sweep.returncode == 130, messages
    assert plan(cli, *longer) == {"ours": ("preempted", "resume")}
    (folder,) = (tmp_path / "runs").iterdir()
    stopped = json.loads((folder / "status.json").read_text())
    assert stopped["state"] == "preempted"
    assert stopped["step"] >= status["step"]


def start(command: list[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=environment, cwd=folder, text=True, stderr=subprocess.PIPE, start_new_session=True
    )


@pytest.mark.slow
def test_a_run_whose_worker_dies_again_and_again_fails_and_says_so(
    cli: Cli, environment: dict[str, str], tmp_path: Path
) -> None:
    longer = ["ours", "--set", "training.epochs=50", "--set", "dataset.train_images=400"]
    sweep = start([*RUN, *longer], {**environment, "RDC_SWEEP_RETRIES": "1"}, tmp_path)
    first = wait_for_step(tmp_path / "runs", 0)
    os.kill(first["process"], signal.SIGKILL)
    second = wait_for_step(tmp_path / "runs", 0, after=first["token"])
    os.kill(second["process"], signal.SIGKILL)
    _, messages = sweep.communicate(timeout=120)
    assert sweep.returncode == 1
    assert "died 2 times in a row before its next checkpoint" in messages
    assert plan(cli, *longer) == {"ours": ("failed", "skip")}


def wait_for_step(root: Path, step: int, after: str = "") -> dict[str, Any]:
    """The heartbeat of a run that is at least at this step and not done; `after`: of another owner than that."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in root.glob("*/status.json"):
            status: dict[str, Any] = json.loads(path.read_text())
            if status["state"] == "training" and status["step"] >= step and status["token"] != after:
                return status
        time.sleep(0.02)
    raise TimeoutError(f"no run came to step {step}")


def test_a_failing_run_is_recorded_and_waits_for_retry_failed(cli: Cli, tmp_path: Path) -> None:
    diverging = ["ours", "--set", "training.network.learning_rate=1.0e+18", "--set", "training.epochs=4"]
    failed = cli("run", "tiny", *diverging)
    assert failed.returncode == 1
    assert "not finite" in failed.stderr
    assert plan(cli, *diverging) == {"ours": ("failed", "skip")}
    skipped = cli("run", "tiny", *diverging)
    assert skipped.returncode == 1
    assert "--retry-failed" in skipped.stderr
    assert plan(cli, *diverging, "--retry-failed")["ours"][1] in {"train", "resume"}
    (folder,) = (tmp_path / "runs").iterdir()
    assert "DivergenceError" in json.loads((folder / "failure.json").read_text())["traceback"]


def test_missing_data_and_weights_are_reported_before_anything_trains(cli: Cli, tmp_path: Path) -> None:
    result = cli(
        "run", "tiny",
        "--set", "dataset.name=nyuv2",
        "--set", "dataset.size=[64, 96]",
        "--set", "backbone.pretrained={source: file, file: weights.safetensors}",
        "--set", "labels.origin=published",
    )  # fmt: skip
    assert result.returncode == 1
    assert "RDC_SWEEP_NYUV2_ROOT" in result.stderr
    assert "RDC_SWEEP_WEIGHTS_ROOT" in result.stderr
    assert "needed by tiny/mtl seed 0, tiny/ours seed 0" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


def test_regions_are_built_once(cli: Cli, tmp_path: Path) -> None:
    arguments = ["regions", "build", "tiny", "--set", "dataset.seed=5"]
    first = cli(*arguments, RDC_SWEEP_CACHE_ROOT=str(tmp_path / "cache"))
    assert first.returncode == 0, first.stderr
    assert "8 built, 0 already stored" in first.stderr
    assert "0 built, 8 already stored" in cli(*arguments, RDC_SWEEP_CACHE_ROOT=str(tmp_path / "cache")).stderr
