import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tuning.study import Study, open_study
from rdc_sweeps.tuning.tuned_row import TunedRow, read_study, resolve_study
from tests.tuning.databases import PASSWORD, postgresql

EXPERIMENTS = Path(__file__).parents[2] / "experiments"

STUDY = """
study: example
title: An example
table: table3
row: one-region-gaussian
epochs: {epochs}
space:
  method.contrast.temperature: {{log: [0.01, 100]}}
  method.contrast.covariance.shrinkage: {{uniform: [0, 1]}}
  method.contrast.covariance.ridge: {{log: [1e-6, 1e-1]}}
{more}
"""


@dataclass(frozen=True)
class Where:
    """A runs folder, and the storage of its study."""

    root: Path
    name: str
    storage: str | None


Make = Callable[..., TunedRow]
Open = Callable[..., Study]


@pytest.fixture
def tuned(tmp_path: Path) -> Make:
    """A study over table3 under the demo profile."""

    def make(more: str = "", epochs: int = 9, profile: str = "demo") -> TunedRow:
        path = tmp_path / "example.yaml"
        sampler = "" if "sampler:" in more else "sampler: {name: tpe, startup_trials: 4}"
        path.write_text(STUDY.format(more=f"{more}\n{sampler}", epochs=epochs))
        return resolve_study(read_study(path), Catalogue(EXPERIMENTS), profile)

    return make


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture
def journal(tmp_path: Path) -> Where:
    return Where(tmp_path / "runs", "example", None)


@pytest.fixture(
    params=[
        "journal",
        pytest.param("sqlite", marks=pytest.mark.slow),
        pytest.param("postgresql", marks=pytest.mark.slow),
    ]
)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """A study in each storage; by default in the journal."""
    return place(request, tmp_path)


@pytest.fixture(params=["journal", "sqlite", "postgresql"])
def everywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """A study in each storage."""
    return place(request, tmp_path)


def place(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    name = f"example-{uuid.uuid4().hex[:8]}"
    storage = None
    if request.param == "sqlite":
        storage = f"sqlite:///{tmp_path}/trials.db"
    elif request.param == "postgresql":
        storage = request.getfixturevalue("server").replace("tuner@", f"tuner:{quote(PASSWORD, safe='')}@")
    return Where(tmp_path / "runs", name, storage)


@pytest.fixture
def opened(tuned: Make) -> Open:
    """Open a study, and ask for trials."""

    def make(where: Where, trials: int, more: str = "", epochs: int = 9) -> Study:
        study = open_study(where.root, where.name, tuned(more, epochs), where.storage)
        study.ask_for(trials)
        return study

    return make
