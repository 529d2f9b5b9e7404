import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.tracking.backend import Backend

KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.slow
def test_every_row_is_one_tracked_run_offline_without_a_key_and_sent_later(cli: Cli, tmp_path: Path) -> None:
    assert cli("run", "tiny", RDC_SWEEP_WANDB="").returncode == 0
    results = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/result.json")]
    for result in results:
        assert list((tmp_path / "runs" / result["run"] / "wandb").glob("offline-run-*"))
    without_key = cli("sync")
    assert without_key.returncode == 5
    assert "WANDB_API_KEY" in without_key.stderr
    with Backend() as backend:
        for _ in range(2):
            sent = cli("sync", WANDB_API_KEY=KEY, WANDB_BASE_URL=backend.url)
            assert sent.returncode == 0, sent.stderr
            assert KEY not in sent.stdout + sent.stderr
        assert set(backend.runs) == {result["run"] for result in results}
        for result in results:
            run = backend.runs[result["run"]]
            assert [row["_step"] for row in run.history] == [0, 1, 2, 3]
            assert run.summary()["last/mIoU"] == result["selected"]["last"]["metrics"]["mIoU"]
            assert run.series("test/mErr")[-1][1] == result["history"][-1]["test"]["mErr"]
            assert run.settings()["method"]["name"] in {"supervised", "region_contrast"}
            assert len([name for name in run.files if name.endswith(".png")]) >= 3
        assert {(run.groupName, run.jobType) for run in backend.runs.values()} == {("tiny", "mtl"), ("tiny", "ours")}
    assert all(KEY.encode() not in path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file())


def test_sync_without_runs_is_an_error(cli: Cli, tmp_path: Path) -> None:
    assert cli("sync", WANDB_API_KEY=KEY).returncode == 2
    # As a disk leaves it that is full at the start of a run.
    (tmp_path / "runs" / "aaaa" / "wandb").mkdir(parents=True)
    assert cli("sync", WANDB_API_KEY=KEY).returncode == 2


def test_a_damaged_run_does_not_keep_sync_from_others(cli: Cli, tmp_path: Path) -> None:
    for name in ("aaaa", "bbbb"):
        (tmp_path / "runs" / name / "wandb").mkdir(parents=True)
        (tmp_path / "runs" / name / "wandb" / "identity.json").write_text("{")
    done = cli("sync", WANDB_API_KEY=KEY)
    assert done.returncode == 5
    for name in ("aaaa", "bbbb"):
        assert f"{name}: " in done.stderr
    assert done.stderr.count("no tracked run here") == 2


@pytest.mark.slow
def test_a_run_on_a_node_without_network_is_sent_while_it_trains_and_after_it_was_cancelled(
    cli: Cli, environment: dict[str, str], tmp_path: Path
) -> None:
    arguments = ["run", "tiny", "ours", "--set", "training.epochs=500", "--wandb", "offline"]
    node = subprocess.Popen(
        [sys.executable, "-m", "rdc_sweeps", *arguments],
        env={**environment, "RDC_SWEEP_WANDB": "offline"}, cwd=tmp_path, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        log = wait_for_log(tmp_path / "runs", 6)
        with Backend() as backend:
            server = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": backend.url}
            first = cli("sync", **server)
            assert "in progress, uploaded so far" in first.stderr
            (run,) = backend.runs.values()
            sent = len(run.history)
            assert sent >= 5
            assert run.exit_code is None
            cli("cancel", "tiny")
            assert node.wait(300) == 1
            assert ": uploaded" in cli("sync", **server).stderr
            assert run.exit_code == 1
            steps = [row["_step"] for row in run.history]
            assert steps == list(range(len(steps)))
            assert len(steps) > sent
            assert "1 runs are already at W&B" in cli("sync", **server).stderr
            # Of the last step, which a resumed run may add to, there is only the summary.
            assert log.read_text().count('"kind": "step"') == len(steps) + 1
    finally:
        node.kill()
        node.wait()


def wait_for_log(root: Path, lines: int) -> Path:
    """The event log of a run, once it has this number of steps."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in root.glob("*/events.jsonl"):
            if path.read_text().count('"kind": "step"') >= lines:
                return path
        time.sleep(0.1)
    raise TimeoutError("nothing was logged")


def test_sync_watches_until_it_is_ended(cli: Cli, environment: dict[str, str], tmp_path: Path) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "rdc_sweeps", "sync", "--watch", "1"],
        env={**environment, "WANDB_API_KEY": KEY}, cwd=tmp_path, text=True, stderr=subprocess.PIPE,
    )  # fmt: skip
    time.sleep(4)
    assert watching.poll() is None
    watching.terminate()
    watching.communicate(timeout=30)
