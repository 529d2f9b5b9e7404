"""Good roots of rendered scenes."""

from pathlib import Path

import numpy as np
import pytest

from rdc_sweeps.data.scene import Dataset
from rdc_sweeps.specs.dataset import RoomsSpec, StreetsSpec
from rdc_sweeps.synthetic.rooms.scenes import open_rooms
from rdc_sweeps.synthetic.streets.scenes import open_streets

COUNTS = {"train_images": 40, "test_images": 20}


@pytest.fixture(scope="package")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with rooms."""
    folder = tmp_path_factory.mktemp("rooms")
    splits = open_rooms(RoomsSpec(size=(64, 96), **COUNTS), None, folder / "cache")
    return write_root(folder / "root", splits, {"semantic": "label", "depth": "depth", "normal": "normal"})


@pytest.fixture(scope="package")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with streets."""
    folder = tmp_path_factory.mktemp("streets")
    splits = open_streets(StreetsSpec(size=(64, 128), **COUNTS), None, folder / "cache")
    return write_root(folder / "root", splits, {"semantic": "label_7", "depth": "depth"})


def write_root(root: Path, splits: tuple[Dataset, Dataset], folders: dict[str, str]) -> Path:
    """Write two splits in MTAN's layout."""
    for name, split in zip(("train", "val"), splits, strict=True):
        for folder in ("image", *folders.values()):
            (root / name / folder).mkdir(parents=True)
        for index in range(len(split)):
            scene = split.scene(index, split.tasks)
            np.save(root / name / "image" / f"{index}.npy", scene.image)
            for task, folder in folders.items():
                np.save(root / name / folder / f"{index}.npy", getattr(scene, task))
    return root
