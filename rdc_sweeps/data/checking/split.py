"""Measures of all scenes of a split, and of the split."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.checking.alignment import FEWEST, MOST, Comparison
from rdc_sweeps.data.checking.expectations import Expectation
from rdc_sweeps.data.checking.scenes import SceneMeasures
from rdc_sweeps.data.fingerprint import spread


@dataclass(frozen=True)
class SplitMeasures:
    """What was measured of a split.

    Attributes:
        name: `train` or `val`.
        expectation: The data set.
        problems: What is wrong with its folders and names of files.
        scenes: Measures of each scene, by number.
    """

    name: str
    expectation: Expectation
    problems: tuple[str, ...]
    scenes: tuple[SceneMeasures, ...]

    def place(self, kind: str, index: int) -> str:
        """The file of a scene, relative to the root."""
        return f"{self.name}/{self.expectation.folders[kind]}/{index}.npy"

    @cached_property
    def comparison(self) -> Comparison | None:
        """How well the maps of the scenes that have all of them fit each other; None if these are too few.

        Kinds of maps that most scenes have none of are left out.
        """
        counts = Counter(kind for scene in self.scenes for kind in scene.signatures)
        kinds = [kind for kind in self.expectation.folders if 2 * counts[kind] > len(self.scenes)]
        whole = [scene for scene in self.scenes if all(kind in scene.signatures for kind in kinds)]
        if len(whole) < FEWEST or len(kinds) < 2:
            return None
        whole = [whole[place] for place in spread(len(whole), MOST)]
        signatures = {kind: np.stack([scene.signatures[kind] for scene in whole]).astype(np.float32) for kind in kinds}
        return Comparison.of([scene.index for scene in whole], signatures)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(C + 3,) pixels of labels below void, void, of each class, and above the last class."""
        return self._sum([scene.label.counts for scene in self.scenes if scene.label]).astype(np.int64)

    @cached_property
    def heights(self) -> NDArray[np.float64]:
        """(C + 3,) mean height in the image of the pixels of each label, 0 at the top and 1 at the bottom."""
        rows = self._sum([scene.label.rows for scene in self.scenes if scene.label])
        return rows / np.maximum(self.labels, 1)

    def _sum(self, parts: list[NDArray[np.int64]] | list[NDArray[np.float64]]) -> NDArray[np.float64]:
        total = np.zeros(len(self.expectation.layout.classes) + 3)
        for part in parts:
            total += part
        return total
