"""A disk that fills during real trainings, and is enlarged."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.disks import mounted


@pytest.mark.slow
def test_a_full_disk_parks_trainings_which_then_end_as_if_nothing_had_been(cli: Cli, tmp_path: Path) -> None:
    clean = tmp_path / "clean"
    assert cli("run", "tiny", "mtl", "--root", str(clean)).returncode == 0
    size = next(clean.glob("*/checkpoints/last.pt")).stat().st_size
    # The cache has what the runs need; the runs folder has room for one checkpoint and a half.
    with mounted(tmp_path / "disk", f"{size * 3 // 2}") as disk:
        root = str(disk.path / "runs")
        full = cli("run", "tiny", "mtl", "--root", root, RDC_SWEEP_RETRIES="1")
        assert full.returncode == 1
        assert "No space left on device" in full.stderr
        assert "repeat the command" in full.stderr
        assert "Traceback" not in full.stderr
        assert "1 preempted" in cli("status", "--root", root).stdout
        disk.resize(str(size * 4))
        assert cli("run", "tiny", "mtl", "--root", root).returncode == 0
        shutil.copytree(root, tmp_path / "after")
    before, after = (
        json.loads(next((tmp_path / name).glob("*/result.json")).read_text()) for name in ("clean", "after")
    )
    assert after["history"] == before["history"]
