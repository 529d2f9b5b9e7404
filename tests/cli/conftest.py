import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rdc_sweeps.cli.main import main
from tests.training.small import SMALL

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def experiments(tmp_path: Path) -> Path:
    """A folder with a table of two small rows, and a profile."""
    folder = tmp_path / "experiments"
    (folder / "profiles").mkdir(parents=True)
    table: dict[str, Any] = {
        "table": "tiny",
        "title": "Two small rows",
        "dataset": "rooms",
        "defaults": SMALL,
        "rows": [
            {"id": "mtl", "method": "MTL", "spec": {"method": {"name": "supervised"}}, "published": {"mIoU": "40.24"}},
            {"id": "ours", "method": "RDC", "published": {"mIoU": "42.28"}, "baseline": "mtl"},
        ],
    }
    profile = {"profile": "small", "title": "As small as can be", "selection": "last"}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(table))
    (folder / "profiles" / "small.yaml").write_text(yaml.safe_dump(profile))
    return folder


@pytest.fixture
def environment(tmp_path: Path, cache: Path, experiments: Path) -> dict[str, str]:
    """Variables of a user who has nothing but this test's folders."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RDC_SWEEP_", "WANDB_"))}
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "RDC_SWEEP_CACHE_ROOT": str(cache),
        "RDC_SWEEP_EXPERIMENTS": str(experiments),
        "RDC_SWEEP_PROFILE": "small",
        "RDC_SWEEP_ROOT": str(tmp_path / "runs"),
        "RDC_SWEEP_WANDB": "disabled",
        "RDC_SWEEP_DEVICE": "cpu",
        "RDC_SWEEP_THREADS": "1",
        "RDC_SWEEP_HEARTBEAT": "0.05",
        "COLUMNS": "120",
        "OMP_NUM_THREADS": "1",
    }


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Inside = Callable[..., Answer]


@pytest.fixture
def inside(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Inside:
    """Call `rdc-sweep` in this process, which is faster; for commands that train nothing."""
    for name in [name for name in os.environ if name not in environment]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["rdc-sweep", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return Answer(int(end.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def cli(environment: dict[str, str], tmp_path: Path) -> Cli:
    """Run `rdc-sweep` as a user would, in the test's folder."""

    def call(*arguments: str, timeout: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "rdc_sweeps", *arguments],
            capture_output=True,
            text=True,
            env={**environment, **variables},
            cwd=tmp_path,
            timeout=timeout,
        )

    return call
