"""Small official files of NYU-V2, written once."""

from pathlib import Path

import pytest

from tests.data.importing.labelled import TEST, TRAIN, Labelled, drawn, write_labelled, write_splits


@pytest.fixture(scope="session")
def scenes() -> list[Labelled]:
    """Three scenes of `rooms`."""
    return [drawn(index) for index in range(3)]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, scenes: list[Labelled]) -> Path:
    """A folder with `labeled.mat` and `splits.mat`."""
    folder = tmp_path_factory.mktemp("official")
    write_labelled(folder / "labeled.mat", scenes)
    write_splits(folder / "splits.mat", TRAIN, TEST)
    return folder
