import json
from pathlib import Path

from tests.cli.conftest import Cli
from tests.tracking.backend import Backend

KEY = "0123456789abcdef0123456789abcdef01234567"


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


def test_sync_without_runs_is_an_error(cli: Cli) -> None:
    assert cli("sync", WANDB_API_KEY=KEY).returncode == 2
