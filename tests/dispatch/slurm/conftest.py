from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from rdc_sweeps.dispatch.plan import Planned, plan
from rdc_sweeps.dispatch.slurm import commands
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs.catalogue import Catalogue, Run
from tests.dispatch.slurm.scheduler import Scheduler


@pytest.fixture
def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    """A scheduler whose commands are on PATH."""
    faked = Scheduler(tmp_path / "scheduler")
    monkeypatch.setenv("PATH", faked.path)
    monkeypatch.setattr(commands, "PAUSE_SECONDS", 0.0)
    return faked


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path / "runs", cache_root=tmp_path / "cache", executor="slurm", profile="paper")


@pytest.fixture(scope="session")
def table() -> list[Run]:
    """Twelve runs."""
    return Catalogue(experiments_folder(Settings())).runs("table3", "paper", seeds=[0])


@pytest.fixture
def look(table: list[Run], settings: Settings) -> Callable[[], list[Planned]]:
    """Plan them again."""
    return partial(plan, table, settings.root)
