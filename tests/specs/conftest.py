import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rdc_sweeps.errors import SpecError
from rdc_sweeps.specs.catalogue import Catalogue

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
"""As shipped once: tests name its lines."""

Edit = Callable[[str, str, str], None]
Problems = Callable[..., list[str]]


@pytest.fixture
def experiments(tmp_path: Path) -> Path:
    """A copy of a table and its profiles, to be spoilt."""
    return Path(shutil.copytree(EXPERIMENTS, tmp_path / "experiments"))


@pytest.fixture
def edit(experiments: Path) -> Edit:
    """Replace the first occurrence of a text in a file of the copy."""

    def replace(name: str, old: str, new: str) -> None:
        path = experiments / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return replace


@pytest.fixture
def problems(experiments: Path) -> Problems:
    """Problems of table3 under a profile, without the folder's path."""

    def find(*settings: str, profile: str = "cpu") -> list[str]:
        with pytest.raises(SpecError) as caught:
            Catalogue(experiments).runs("table3", profile, settings=settings)
        return [problem.replace(f"{experiments}/", "") for problem in caught.value.problems]

    return find
