"""Images that are in a data set twice, also if they were compressed or resized again, and maps that are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.checking.scenes import SceneMeasures
from rdc_sweeps.data.scene import Floats

ALIKE, EDGES_ALIKE = 0.93, 0.6
"""Correlations of two thumbnails, less the mean thumbnail, and of images' edges: from both on they show the same."""


CHUNK = 1024
"""Images that are compared with all others at once, so that memory does not grow with the square of their number."""


@dataclass(frozen=True)
class Copy:
    """Two scenes with images that are alike.

    Attributes:
        first, second: Their numbers.
        correlation: Of their thumbnails.
        same: Whether they show the same.
    """

    first: int
    second: int
    correlation: float
    same: bool


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
    rows, columns = _normalised(one[1] - mean), _normalised(other[1] - mean)
    alike = []
    for first_row in range(0, len(rows), CHUNK):
        correlations = rows[first_row : first_row + CHUNK] @ columns.T
        if same:
            correlations[np.tril_indices(len(correlations), first_row, len(columns))] = -1
        for i, j in np.argwhere(correlations >= min(ALIKE, float(correlations.max()))).tolist():
            value, place = float(correlations[i, j]), first_row + i
            same_image = value >= ALIKE and _edges_alike(one[2][place], other[2][j])
            alike.append(Copy(one[0][place], other[0][j], value, same_image))
    alike.sort(key=lambda copy: -copy.correlation)
    return [copy for copy in alike if copy.same] or alike[:1]


def _edges_alike(one: NDArray[np.float16], other: NDArray[np.float16]) -> bool:
    return float(np.vdot(one.astype(np.float32), other.astype(np.float32))) >= EDGES_ALIKE


def repeated_maps(scenes: Sequence[SceneMeasures]) -> Iterator[tuple[str, int, int]]:
    """Labels, depth or normals that are the same in two scenes: kind and numbers."""
    seen: dict[tuple[str, bytes], int] = {}
    for scene in scenes:
        for kind, digest in scene.digests.items():
            if kind == "image":
                continue
            if (before := seen.setdefault((kind, digest), scene.index)) != scene.index:
                yield kind, before, scene.index


def _thumbnails(scenes: Sequence[SceneMeasures]) -> tuple[list[int], Floats, list[NDArray[np.float16]]]:
    """Numbers of the scenes with images, their thumbnails (N, d), and the edges of the images."""
    found = [
        (scene.index, scene.thumbnail.ravel(), scene.signatures["image"])
        for scene in scenes
        if scene.thumbnail is not None and "image" in scene.signatures
    ]
    thumbnails = np.array([thumbnail for _, thumbnail, _ in found], np.float32)
    return [index for index, _, _ in found], thumbnails, [edges for _, _, edges in found]


def _normalised(values: Floats) -> Floats:
    lengths = np.sqrt(np.square(values).sum(axis=1, keepdims=True))
    normalised: Floats = values / np.maximum(lengths, np.float32(1e-6))
    return normalised
