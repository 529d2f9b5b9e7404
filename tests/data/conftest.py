"""Small data sets in MTAN's layout."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

WriteMtan = Callable[..., Path]


@pytest.fixture
def write_mtan(tmp_path: Path) -> WriteMtan:
    """Writes `{train,val}/{image,label,depth,normal}/N.npy` of random values; returns the root."""

    def write(train: int = 6, val: int = 3, size: tuple[int, int] = (32, 64)) -> Path:
        rng = np.random.default_rng(0)
        root = tmp_path / "nyuv2"
        for split, count in (("train", train), ("val", val)):
            for folder in ("image", "label", "depth", "normal"):
                (root / split / folder).mkdir(parents=True)
            for index in range(count):
                normal = rng.normal(size=(*size, 3))
                normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
                normal[0, 0] = 0
                content: dict[str, np.ndarray[Any, Any]] = {
                    "image": rng.random((*size, 3)).astype(np.float32),
                    "label": rng.integers(-1, 13, size).astype(np.int16),
                    "depth": rng.uniform(0.5, 8, (*size, 1)).astype(np.float32),
                    "normal": normal.astype(np.float32),
                }
                for folder, array in content.items():
                    np.save(root / split / folder / f"{index}.npy", array)
        return root

    return write


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data that RDC_SHARED names."""
    folder = os.environ.get("RDC_SHARED")
    if not folder:
        pytest.skip("RDC_SHARED is not set")
    return Path(folder)
