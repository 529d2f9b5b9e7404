"""What lies in the working directory, and what other programs left in the environment, change no training."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = """
from rdc_sweeps.cli.main import main

if __name__ == "__main__":
    main()
"""
"""The script that is installed as `rdc-sweep`."""


@pytest.mark.slow
def test_a_hostile_environment_trains_the_same(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rdc-sweep").write_text(COMMAND)

    def train(root: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, tmp_path / "bin" / "rdc-sweep", "run", "tiny", "mtl", "--root", tmp_path / root, *options],
            env={**environment, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )

    assert train("clean").returncode == 0
    for package in ("timm", "rdc_sweeps"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('not this one')")
    (tmp_path / "random.py").write_text("raise RuntimeError('not this one')")
    (tmp_path / ("t" * 110)).mkdir()
    done = train(
        "hostile", "--wandb", "offline",
        WORLD_SIZE="2", RANK="0", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT="1",
        ACCELERATE_GRADIENT_ACCUMULATION_STEPS="8", TIMM_SCRIPTABLE="1", WANDB_CONFIG_PATHS="missing.yaml",
        TMPDIR=str(tmp_path / ("t" * 110)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "not passed on to workers: ACCELERATE_GRADIENT_ACCUMULATION_STEPS, LOCAL_RANK" in done.stderr
    assert "too long for the names of sockets" in done.stderr
    clean, hostile = (
        json.loads(next((tmp_path / name).glob("*/result.json")).read_text()) for name in ("clean", "hostile")
    )
    assert hostile["history"] == clean["history"]
    assert list((tmp_path / "hostile").glob("*/wandb/offline-run-*/*.wandb"))
