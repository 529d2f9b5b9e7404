"""Images that are in a data set twice, also if they were compressed or resized again, and maps that are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rdc_sweeps.data.checking.scenes import SceneMeasures
from rdc_sweeps.data.scene import Floats

ALIKE = 0.93
"""Correlation of two thumbnails, less the mean thumbnail, from which on they show the same image."""


@dataclass(frozen=True)
class Copy:
    """Two scenes with the same image.

    Attributes:
        first, second: Their numbers.
        correlation: Of their thumbnails.
    """

    first: int
    second: int
    correlation: float


def most_alike(first: Sequence[SceneMeasures], second: Sequence[SceneMeasures]) -> list[Copy]:
    """Images of two splits that show the same, or, of the same split twice, in it; the most alike first.

    Returns:
        All copies, or else the two images that are the most alike; empty if there are no images.
    """
    same = first is second
    one, other = _thumbnails(first), _thumbnails(second)
    if len(one[0]) == 0 or len(other[0]) == 0 or (same and len(one[0]) == 1):
        return []
    # Without the mean image all streets are alike: a road below, and sky above.
    mean = np.concatenate((one[1],) if same else (one[1], other[1])).mean(axis=0)
    correlations = _normalised(one[1] - mean) @ _normalised(other[1] - mean).T
    if same:
        correlations[np.tril_indices(len(correlations))] = -1
    found = np.argwhere(correlations >= min(ALIKE, float(correlations.max())))
    copies = [Copy(one[0][i], other[0][j], float(correlations[i, j])) for i, j in found.tolist()]
    return sorted(copies, key=lambda copy: -copy.correlation)


def repeated_maps(scenes: Sequence[SceneMeasures]) -> Iterator[tuple[str, int, int]]:
    """Labels, depth or normals that are the same in two scenes: kind and numbers."""
    seen: dict[tuple[str, bytes], int] = {}
    for scene in scenes:
        for kind, digest in scene.digests.items():
            if kind == "image":
                continue
            if (before := seen.setdefault((kind, digest), scene.index)) != scene.index:
                yield kind, before, scene.index


def _thumbnails(scenes: Sequence[SceneMeasures]) -> tuple[list[int], Floats]:
    found = [(scene.index, scene.thumbnail.ravel()) for scene in scenes if scene.thumbnail is not None]
    return [index for index, _ in found], np.array([one for _, one in found], np.float32)


def _normalised(values: Floats) -> Floats:
    lengths = np.sqrt(np.square(values).sum(axis=1, keepdims=True))
    normalised: Floats = values / np.maximum(lengths, np.float32(1e-6))
    return normalised
