"""Stored pixels as the arrays that a data set has, as a description says how they are stored."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rdc_sweeps.data import arrays
from rdc_sweeps.data.arrays import AnyArray, Stored, nearest
from rdc_sweeps.data.importing.pixels import by_area, rgb
from rdc_sweeps.data.scene import VOID
from rdc_sweeps.data.units import METRES
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Size, Task
from rdc_sweeps.specs.importing import DepthModality, Modality, NormalModality, SemanticModality

ANY_METRES = replace(METRES, low=0.05, high=200)
"""Metres indoors or outdoors; wide enough for any scene, and too narrow for other units."""

SHORTEST = 0.2
"""Length below which a decoded vector means that there is no normal, such as that of grey in a picture of normals."""


def unknown(task: Task, size: Size) -> AnyArray:
    """The label of a task for an image of this height and width that has none."""
    match task:
        case "semantic":
            return np.full(size, VOID, dtype=np.int8)
        case "depth":
            return np.zeros(size, dtype=np.float32)
        case "normal":
            return np.zeros((*size, 3), dtype=np.float32)


def converted(stored: AnyArray, modality: Modality, size: Size | None, title: str) -> AnyArray:
    """Stored values of one image or its labels as `Source.scene` returns them.

    Args:
        stored: (H, W) or (H, W, channels).
        modality: How they are stored.
        size: Height and width wanted; None: as stored.
        title: The file, for messages.

    Raises:
        DataError: They cannot be what the description says.
    """
    if stored.ndim not in {2, 3} or not stored.size:
        raise DataError(f"{title}: shape {stored.shape}, expected height x width, or height x width x channels")
    size = size or (int(stored.shape[0]), int(stored.shape[1]))
    match modality:
        case SemanticModality():
            ids = _colour_numbers(stored, title) if modality.coloured else stored
            return _semantic(_plane(ids, size, title), modality, title)
        case DepthModality():
            return _depth(_plane(stored, size, title), modality, title)
        case NormalModality():
            return _normal(stored, modality, size, title)
    image = by_area(rgb(stored, title), size)
    arrays.image_of(Stored(Path(title), image), size)
    return image


def _plane(stored: AnyArray, size: Size, title: str) -> AnyArray:
    if stored.ndim == 3 and stored.shape[2] != 1:
        raise DataError(
            f"{title}: has {stored.shape[2]} channels, expected one value per pixel; if these are colours of "
            "classes, give those in semantic.classes, such as '#8000ff'"
        )
    return nearest(stored.reshape(stored.shape[:2]), size)


def _semantic(ids: AnyArray, modality: SemanticModality, title: str) -> AnyArray:
    values = {one: index for index, group in enumerate(modality.ids.values()) for one in group}
    values |= dict.fromkeys(modality.void_ids, VOID)
    found, where = np.unique(ids, return_inverse=True)
    if others := [one for one in found.tolist() if one not in values]:
        written = "#{:06x}" if modality.coloured else "{:g}"
        shown = ", ".join(map(written.format, others[:10])) + (", ..." if len(others) > 10 else "")
        raise DataError(
            f"{title}: ids without a class: {shown}; give each to a class in semantic.classes, or to semantic.void"
        )
    kind = np.int8 if len(modality.classes) <= 128 else np.int16
    return np.array([values[one] for one in found.tolist()], dtype=kind)[where].reshape(ids.shape)


def _colour_numbers(stored: AnyArray, title: str) -> AnyArray:
    """The number 0xRRGGBB of each pixel's colour."""
    if stored.ndim != 3 or stored.shape[2] not in {3, 4} or stored.dtype != np.uint8:
        raise DataError(f"{title}: values of type {stored.dtype} and shape {stored.shape}, expected 8-bit colours")
    red, green, blue = (stored[..., channel].astype(np.int32) for channel in range(3))
    return (red << 16) | (green << 8) | blue


def _depth(stored: AnyArray, modality: DepthModality, title: str) -> AnyArray:
    invalid = ~np.isfinite(stored) | np.isin(stored, _as_stored(modality.invalid, stored))
    depth = np.where(invalid, 0, stored.astype(np.float64) * modality.scale).astype(np.float32)
    if (negative := int((depth < 0).sum())) or not np.isfinite(depth).all():
        raise DataError(
            f"{title}: {negative} pixels with a depth below 0; name what means no measurement in depth.invalid"
        )
    if modality.unit == "metres" and (problem := ANY_METRES.problem(depth)):
        raise DataError(f"{title}: after depth.scale ({modality.scale:g}), {problem}")
    return depth


def _normal(stored: AnyArray, modality: NormalModality, size: Size, title: str) -> AnyArray:
    if stored.ndim != 3 or stored.shape[2] not in {3, 4}:
        raise DataError(f"{title}: shape {stored.shape}, expected three components per pixel")
    taken = nearest(stored[..., :3], size)
    normal = _decoded(taken, modality, title)
    for axis in modality.flip:
        normal[..., "xyz".index(axis)] *= -1
    square = np.square(normal).sum(axis=-1)
    none = ~np.isfinite(square) | (square < SHORTEST**2)
    for value in modality.invalid:
        none |= (taken == _as_stored(value, stored)).all(axis=-1)
    normal[none] = 0
    away = int((normal[..., 2] > 0).sum())
    if 2 * away > int((~none).sum()):
        raise DataError(
            f"{title}: most normals point away from the camera (z > 0); add z to normal.flip, and see whether y is down"
        )
    return arrays.normal_of(Stored(Path(title), normal), size)


def _as_stored(values: Sequence[float], stored: AnyArray) -> AnyArray:
    """Values of a description in the precision of stored ones: 1e20 is another number in float32."""
    return np.array(values, dtype=stored.dtype if stored.dtype.kind == "f" else np.float64)


def _decoded(stored: AnyArray, modality: NormalModality, title: str) -> AnyArray:
    if modality.encoding == "colours":
        largest = np.iinfo(stored.dtype).max if stored.dtype.kind in "ui" else 1
        return (stored.astype(np.float32) * np.float32(2 / largest) - np.float32(1)).astype(np.float32)
    if stored.dtype.kind != "f":
        raise DataError(
            f"{title}: values of type {stored.dtype} are no vectors in [-1, 1]; set normal.encoding: colours"
        )
    return np.array(stored, dtype=np.float32)
