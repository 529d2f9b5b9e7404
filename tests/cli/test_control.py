import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.cli.conftest import Cli

RUN = [sys.executable, "-m", "rdc_sweeps"]


def wait_for_training(root: Path) -> dict[str, Any]:
    """The heartbeat of a run that has taken a step."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in root.glob("*/status.json"):
            status: dict[str, Any] = json.loads(path.read_text())
            if status["state"] == "training" and status["step"] > 0:
                return {**status, "run": path.parent.name}
        time.sleep(0.05)
    raise TimeoutError("no run has started")


def states(cli: Cli, *arguments: str) -> dict[str, str]:
    (group,) = json.loads(cli("status", "tiny", "--json", *arguments).stdout)
    return {run["row"]: run["state"] for run in group["runs"]}


def test_a_cancelled_sweep_resumes_from_its_checkpoints(cli: Cli, environment: dict[str, str], tmp_path: Path) -> None:
    longer = ["--set", "training.epochs=400"]
    sweep = subprocess.Popen(
        [*RUN, "run", "tiny", "--max-parallel", "1", *longer],
        env=environment, cwd=tmp_path, text=True, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        running = wait_for_training(tmp_path / "runs")
        following = subprocess.Popen(
            [*RUN, "logs", running["run"][:8], "-f"],
            env=environment, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        cancelled = cli("cancel", "tiny", "--json")
        _, told = sweep.communicate(timeout=120)
    finally:
        sweep.kill()
    entries = {entry["title"]: entry for entry in json.loads(cancelled.stdout)}
    assert {entry["before"] for entry in entries.values()} == {"running", "planned"}
    assert entries["tiny/mtl seed 0"]["done"] == ["signalled to stop"]
    assert entries["tiny/ours seed 0"]["done"] == ["will not start"]
    assert sweep.returncode == 1
    assert "cancelled: by " in told
    assert states(cli, *longer) == {"mtl": "cancelled", "ours": "cancelled"}
    assert list((tmp_path / "runs").glob("*/checkpoints/last.pt"))

    printed, end = following.communicate(timeout=60)
    assert "stopped at step" in printed
    assert "cancelled" in end

    again = cli("cancel", "tiny")
    assert "was cancelled, unchanged" in again.stderr
    assert "0 of 2 runs cancelled" in again.stderr
    planned = json.loads(cli("run", "tiny", "-n", "--json", *longer).stdout)
    assert {(entry["row"], entry["action"]) for entry in planned} == {("mtl", "resume"), ("ours", "train")}


def test_cancelling_a_table_leaves_other_profiles_alone_and_bad_names_are_errors(cli: Cli) -> None:
    nothing = cli("cancel", "tiny")
    assert nothing.returncode == 0
    assert "0 of 0 runs cancelled" in nothing.stderr
    assert cli("cancel", "none").returncode == 2
    assert cli("cancel").returncode == 2
    assert cli("logs", "../x").returncode == 2


def test_the_last_lines_of_a_log(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text("seed: 0\n")
    assert "planned, no output yet" in cli("logs", "0123").stderr
    (folder / "log.txt").write_text("a\nb\nc\n")
    assert cli("logs", "0123", "-n", "2").stdout == "b\nc\n"
    assert cli("logs", "0123").stdout == "a\nb\nc\n"
