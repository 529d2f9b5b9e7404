"""Measures of one scene: its files are read whole and checked, and what is compared between scenes is kept small."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data import arrays
from rdc_sweeps.data.arrays import AnyArray, Stored, nearest
from rdc_sweeps.data.checking import edges
from rdc_sweeps.data.checking.expectations import Expectation
from rdc_sweeps.data.scene import VOID, Floats
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Size

NEAR = 0.05
"""How far from 1 the length of a normal may be to be counted as 1."""


DENSE = 0.5
"""Share of valid pixels from which on a depth map has edges."""

NEAREST = 1e-3
"""Metres; nothing is nearer to a camera."""


@dataclass
class LabelMeasures:
    """Of a label map at the grid's size.

    Attributes:
        counts: (C + 3,) pixels of labels below void, void, of each class, and above the last class.
        rows: (C + 3,) sums of these pixels' heights in the image, 0 at the top and 1 at the bottom.
    """

    counts: NDArray[np.int64]
    rows: NDArray[np.float64]


@dataclass
class DepthMeasures:
    """Of a depth map: its least, mean and largest valid value, and the share of valid pixels."""

    low: float
    mean: float
    high: float
    valid: float


@dataclass
class NormalMeasures:
    """Of a map of normals.

    Attributes:
        valid: Share of the pixels that have a normal.
        near: Share of the normals whose stored length is near 1.
        facing: Share of the normals that face the camera.
        moments: (3, 3) mean of n m^T over the pixels, for normals n and those m of the planes of the depth map.
        mirrored: The same for the mirrored depth map.
        upright: Sum of the y components of the lowest class's normals, and their number.
    """

    valid: float
    near: float
    facing: float
    moments: NDArray[np.float64] | None = None
    mirrored: NDArray[np.float64] | None = None
    upright: tuple[float, int] = (0.0, 0)


@dataclass
class SceneMeasures:
    """Measures of one scene, by kind of map (`image` and the tasks) where there are several.

    Attributes:
        index: Number of the scene.
        unreadable: Why a file cannot be read.
        invalid: Why values of a readable file cannot be right.
        types, sizes: Type, and height and width of each array.
        digests: Of each map at the grid's size; equal maps have equal ones. None for maps of one value.
        signatures: (h, w) of the edges of each map that has any.
        thumbnail: (h / 2, w / 2, 3), the image with mean 0 and norm 1.
    """

    index: int
    unreadable: dict[str, str] = field(default_factory=dict)
    invalid: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, Size] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    signatures: dict[str, NDArray[np.float16]] = field(default_factory=dict)
    thumbnail: NDArray[np.float16] | None = None
    label: LabelMeasures | None = None
    depth: DepthMeasures | None = None
    normal: NormalMeasures | None = None

    def keep(self, kind: str, values: AnyArray, found: Floats) -> None:
        """Keep the digest and the signature of a map at the grid's size."""
        if (values != values.flat[0]).any():
            self.digests[kind] = hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=8).digest()
        if (signature := edges.signature(found)).any():
            self.signatures[kind] = signature.astype(np.float16)


def measure_scene(expectation: Expectation, folder: Path, index: int) -> SceneMeasures:
    """Measure one scene of a split; missing files are left out.

    Args:
        expectation: The data set.
        folder: The split's folder.
        index: Number of the scene.
    """
    measures = SceneMeasures(index)
    # A damaged file has any values, for which the checks have words of their own.
    with np.errstate(all="ignore"):
        _measure(expectation, folder, measures)
    return measures


def _measure(expectation: Expectation, folder: Path, measures: SceneMeasures) -> None:
    index = measures.index
    stored = _open(expectation, folder, index, measures)
    grid: dict[str, AnyArray] = {}
    if "image" in stored and (image := measure_image(stored["image"], expectation.grid, measures)) is not None:
        grid["image"] = image
    if "semantic" in stored:
        grid["semantic"] = _label(stored["semantic"], expectation, measures)
    if "depth" in stored and (depth := _depth(stored["depth"], expectation, measures)) is not None:
        grid["depth"] = depth
    if "normal" in stored and (normal := _normal(stored["normal"], expectation.grid, measures)) is not None:
        grid["normal"] = normal
        if expectation.focal is not None and measures.normal is not None:
            _compare_normals(measures.normal, grid, expectation.focal)
            if "semantic" in grid and expectation.lowest is not None:
                y = normal[..., 1][grid["semantic"] == expectation.layout.classes.index(expectation.lowest)]
                measures.normal.upright = float(y.sum()), int(np.count_nonzero(y))


def _open(expectation: Expectation, folder: Path, index: int, measures: SceneMeasures) -> dict[str, Stored]:
    """The scene's arrays that can be opened and have a shape that their kind can have."""
    found = {}
    for kind, name in expectation.folders.items():
        path = folder / name / f"{index}.npy"
        if not path.exists():
            continue  # told with the names of files
        try:
            stored = arrays.open_array(path)
            found[kind] = arrays.triples(stored) if kind in ("image", "normal") else arrays.plane(stored)
        except DataError as error:
            measures.unreadable[kind] = _reason(error, path)
            continue
        measures.types[kind], measures.sizes[kind] = str(stored.values.dtype), _size(found[kind])
    return found


def _reason(error: DataError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")


def _size(stored: Stored) -> Size:
    height, width = stored.values.shape[:2]
    return height, width


def measure_image(stored: Stored, grid: Size, measures: SceneMeasures) -> Floats | None:
    """Measure an image; returns it at the size of the grid, or None if it is none."""
    try:
        image = arrays.image_of(stored, grid)
    except DataError as error:
        measures.invalid["image"] = _reason(error, stored.path)
        return None
    measures.keep("image", image, edges.image_edges(image))
    small = image[: grid[0] // 2 * 2, : grid[1] // 2 * 2].reshape(grid[0] // 2, 2, grid[1] // 2, 2, 3).mean(axis=(1, 3))
    measures.thumbnail = edges.unit(small).astype(np.float16)
    return image


def _label(stored: Stored, expectation: Expectation, measures: SceneMeasures) -> NDArray[np.int16]:
    classes = len(expectation.layout.classes)
    try:
        arrays.semantic_of(stored, _size(stored), classes)
    except DataError as error:
        measures.invalid["semantic"] = _reason(error, stored.path)
    # Invalid labels too are measured: they say by how much all labels are off.
    values = nearest(stored.values, expectation.grid).astype(np.float32)
    label = np.clip(np.nan_to_num(values, nan=VOID - 1), VOID - 1, classes).astype(np.int16)
    bins = (label - (VOID - 1)).ravel()
    heights = np.repeat((np.arange(label.shape[0]) + 0.5) / label.shape[0], label.shape[1])
    measures.label = LabelMeasures(
        np.bincount(bins, minlength=classes + 3).astype(np.int64),
        np.bincount(bins, heights, minlength=classes + 3).astype(np.float64),
    )
    measures.keep("semantic", label, edges.label_edges(label))
    return label


def _depth(stored: Stored, expectation: Expectation, measures: SceneMeasures) -> Floats | None:
    try:
        depth = arrays.depth_of(stored, _size(stored))
    except DataError as error:
        measures.invalid["depth"] = _reason(error, stored.path)
        return None
    unit = expectation.layout.depth_unit
    if unit and (problem := unit.problem(depth)):
        measures.invalid["depth"] = problem
    valid = np.count_nonzero(depth)
    if valid:
        low = float(depth.min(where=depth > 0, initial=np.inf))
        mean = float(depth.sum(dtype=np.float64)) / valid
        measures.depth = DepthMeasures(low, mean, float(depth.max()), valid / depth.size)
    else:
        measures.depth = DepthMeasures(0, 0, 0, 0)
    depth = nearest(depth, expectation.grid)
    # The edges of sparse depth, as of a laser, are those of its gaps.
    found = edges.depth_edges(depth) if measures.depth.valid >= DENSE else np.zeros_like(depth)
    measures.keep("depth", depth, found)
    return depth


def _normal(stored: Stored, grid: Size, measures: SceneMeasures) -> Floats | None:
    try:
        normal = nearest(arrays.normal_of(stored, _size(stored)), grid)
    except DataError as error:
        measures.invalid["normal"] = _reason(error, stored.path)
        return None
    valid = normal.any(axis=2)
    lengths = np.linalg.norm(nearest(stored.values, grid)[valid].astype(np.float32), axis=-1)
    near = float((np.abs(lengths - 1) <= NEAR).mean()) if lengths.size else 1.0
    measures.normal = NormalMeasures(float(valid.mean()), near, facing=1.0)
    measures.keep("normal", normal, edges.normal_edges(normal))
    return normal


def _compare_normals(measures: NormalMeasures, grid: Mapping[str, AnyArray], focal: float) -> None:
    normal: Floats = grid["normal"]
    valid = normal.any(axis=2)
    x, y = rays(valid.shape, focal)
    away = normal[..., 0] * x + normal[..., 1] * y[:, None] + normal[..., 2] > 0
    measures.facing = 1 - float(away[valid].mean()) if valid.any() else 1.0
    if "depth" in grid:
        measures.moments = _moments(normal, plane_normals(grid["depth"], focal))
        measures.mirrored = _moments(normal, plane_normals(grid["depth"][:, ::-1], focal))


def _moments(normal: Floats, planes: Floats) -> NDArray[np.float64] | None:
    both = normal.any(axis=2) & planes.any(axis=2)
    if not both.any():
        return None
    return (normal[both].T @ planes[both] / np.count_nonzero(both)).astype(np.float64)


def rays(size: tuple[int, ...], focal: float) -> tuple[Floats, Floats]:
    """x of each column and y of each row at a depth of 1, for a focal length in widths of the image."""
    height, width = size[:2]
    return (
        ((np.arange(width) + 0.5 - width / 2) / (focal * width)).astype(np.float32),
        ((np.arange(height) + 0.5 - height / 2) / (focal * width)).astype(np.float32),
    )


def plane_normals(depth: Floats, focal: float) -> Floats:
    """Unit normals (H, W, 3) of the planes through each pixel of a depth map and its four neighbours.

    Of a plane, inverse depth is a x + b y + c at the ray (x, y, 1), and the normal towards the camera has the direction
    of -(a, b, c). At the border and beside pixels that are invalid or nearer than `NEAREST` there is none: (0, 0, 0).
    """
    x, y = rays(depth.shape, focal)
    valid = depth > NEAREST
    inverse = np.where(valid, 1 / np.where(valid, depth, 1), 0)
    inner = np.s_[1:-1, 1:-1]
    a = (inverse[1:-1, 2:] - inverse[1:-1, :-2]) / (x[2:] - x[:-2])
    b = (inverse[2:, 1:-1] - inverse[:-2, 1:-1]) / (y[2:] - y[:-2])[:, None]
    c = inverse[inner] - a * x[1:-1] - b * y[1:-1, None]
    whole = valid[inner] & valid[1:-1, 2:] & valid[1:-1, :-2] & valid[2:, 1:-1] & valid[:-2, 1:-1]
    normal = np.zeros((*depth.shape, 3), np.float32)
    direction = np.stack((a, b, c), axis=2)
    length = np.linalg.norm(direction, axis=2)
    normal[inner] = np.where(
        (whole & (length > 0))[..., None], -direction / np.where(length > 0, length, 1)[..., None], 0
    )
    return normal
