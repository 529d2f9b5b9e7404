"""Small sources for tests of the import engine, in a module of their own so that worker processes can load them."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.data.importing.source import Split
from rdc_sweeps.data.mtan import NYUV2_LAYOUT, MtanLayout

SIZE = (32, 64)


@dataclass(frozen=True)
class SmallSource:
    """Random scenes. `killed_at` names a scene that kills the process that reads it, as long as that file exists."""

    train: int = 3
    val: int = 2
    layout: MtanLayout = NYUV2_LAYOUT
    settings: Mapping[str, Any] = field(default_factory=dict)
    replaced: Mapping[str, AnyArray] = field(default_factory=dict)
    killed_at: Path | None = None

    @property
    def description(self) -> Mapping[str, Any]:
        return {"name": "small", **self.settings}

    @property
    def counts(self) -> Mapping[Split, int]:
        return {"train": self.train, "val": self.val}

    def scene(self, split: Split, index: int) -> Mapping[str, AnyArray]:
        if self.killed_at and self.killed_at.name == f"{split}-{index}" and self.killed_at.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        rng = np.random.default_rng([index, split == "val"])
        normal = rng.normal(size=(*SIZE, 3))
        return {
            "image": rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8),
            "semantic": rng.integers(-1, 13, SIZE, dtype=np.int8),
            "depth": rng.uniform(0.5, 8, SIZE).astype(np.float32),
            "normal": (normal / np.linalg.norm(normal, axis=-1, keepdims=True)).astype(np.float32),
            **self.replaced,
        }

    def without_kill(self) -> "SmallSource":
        return replace(self, killed_at=None)
