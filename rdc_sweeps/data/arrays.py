"""Conversion of stored arrays to the arrays of a `Scene`: checks, data types, resolution."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from rdc_sweeps.data.scene import VOID, Floats
from rdc_sweeps.data.units import EMPTY, DepthUnit, image_problem, normal_problem
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Size

READING = (1, PIL.__version__)
"""How files are read; the number is increased whenever the same files give other values. Pillow resamples."""

AnyArray = np.ndarray[Any, np.dtype[Any]]


class Stored(NamedTuple):
    """A memory-mapped array and its file."""

    path: Path
    values: AnyArray


def open_array(path: Path) -> Stored:
    """Memory-map a `.npy` file.

    Raises:
        DataError: The file is missing, truncated, not a `.npy` file, or does not contain numbers.
    """
    try:
        values: AnyArray = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; restore it, or write the data set again") from error
    except PermissionError as error:
        raise DataError(f"{path}: not readable; ask its owner for permission to read it") from error
    except Exception as error:  # The parser of the header raises what it likes, such as TokenError.
        raise DataError(
            f"{path}: truncated, or not an array in .npy format ({error}); copy or write this file again"
        ) from error
    if values.dtype.kind not in "buif":
        raise DataError(f"{path}: values of type {values.dtype}, expected numbers; write it as float32")
    return Stored(path, values)


def image_of(stored: Stored, size: Size) -> Floats:
    """A stored image as (H, W, 3) float32 in [0, 1], antialiased when downsampled.

    Integers are divided by 255 (uint16 by 65535).
    """
    path, values = triples(stored)
    image = np.array(values, dtype=np.float32)
    if values.dtype.kind in "ui":
        image /= np.float32(65535 if values.dtype == np.uint16 else 255)
    low, high = float(image.min()), float(image.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise DataError(f"{path}: image values from {low:g} to {high:g}; write uint8, or floats in [0, 1]")
    np.clip(image, 0, 1, out=image)
    if problem := image_problem(image, low, high):
        raise DataError(f"{path}: {problem}; write the image again, as uint8, or floats in [0, 1]")
    if image.shape[:2] == size:
        return image
    height, width = size
    channels = [
        np.asarray(Image.fromarray(image[..., c]).resize((width, height), Image.Resampling.BILINEAR)) for c in range(3)
    ]
    return np.stack(channels, axis=2)


def semantic_of(stored: Stored, size: Size, classes: int) -> NDArray[np.int16]:
    """Stored labels (H, W) or (H, W, 1) as (H, W) int16; -1 is void."""
    path, values = plane(stored)
    values = nearest(values, size)
    # Compare before converting, since large values would wrap; NaN fails because it is not equal to itself.
    right = (values >= VOID) & (values < classes) & (values == np.floor(values))
    if not right.all():
        found = ", ".join(f"{value:g}" for value in np.unique(values[~right])[:5].tolist())
        raise DataError(
            f"{path}: {_count(~right)} with an invalid label ({found}); "
            f"labels are 0 to {classes - 1}, and {VOID} for void"
        )
    return values.astype(np.int16)


def depth_of(stored: Stored, size: Size, unit: DepthUnit | None = None) -> Floats:
    """Stored depth (H, W) or (H, W, 1) as (H, W) float32 in `unit`, if one is known; 0 is invalid."""
    path, values = plane(stored)
    depth = nearest(values, size).astype(np.float32)
    right = np.isfinite(depth) & (depth >= 0)
    if not right.all():
        raise DataError(
            f"{path}: {_count(~right)} with a depth of NaN, infinity or less than 0; "
            "write 0 where there is no measurement"
        )
    if unit and (problem := unit.problem(depth)):
        raise DataError(f"{path}: {problem}")
    return depth


def normal_of(stored: Stored, size: Size) -> Floats:
    """Stored surface normals (H, W, 3) as (H, W, 3) float32 of unit length; (0, 0, 0) is invalid."""
    path, values = triples(stored)
    normal = np.array(nearest(values, size), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # the check below names such values
        square = np.square(normal[..., 0]) + np.square(normal[..., 1]) + np.square(normal[..., 2])
    right = square <= 4
    if problem := normal_problem(normal, square):
        raise DataError(f"{path}: {problem}")
    if not right.all():
        raise DataError(
            f"{path}: {_count(~right)} with a normal that is NaN or longer than 2; write unit vectors as floats, "
            "and (0, 0, 0) where there is none"
        )
    length = np.sqrt(np.where(square > EMPTY, square, np.float32(np.inf)))
    normal /= length[..., None]
    return normal


def triples(stored: Stored) -> Stored:
    """The array if it is (H, W, 3).

    Raises:
        DataError: It is not.
    """
    path, values = stored
    if values.ndim != 3 or values.shape[2] != 3 or not values.size:
        raise DataError(f"{path}: shape {values.shape}, expected (H, W, 3), channels last; write it in that layout")
    return stored


def plane(stored: Stored) -> Stored:
    """The array as (H, W), also if it is (H, W, 1).

    Raises:
        DataError: It has another shape.
    """
    path, values = stored
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not values.size:
        raise DataError(f"{path}: shape {values.shape}, expected (H, W) or (H, W, 1); write it in that layout")
    return Stored(path, values)


def nearest(values: AnyArray, size: Size) -> AnyArray:
    """The stored value nearest to the centre of each pixel of `size`: labels are never interpolated."""
    if values.shape[:2] == size:
        return values
    rows, columns = (nearest_indices(wanted, there) for wanted, there in zip(size, values.shape[:2], strict=True))
    taken: AnyArray = values[rows[:, None], columns]
    return taken


def nearest_indices(wanted: int, there: int) -> NDArray[np.int64]:
    """The rows or columns that `nearest` takes: `wanted` of `there`."""
    return ((np.arange(wanted) + 0.5) * (there / wanted)).astype(np.int64)


def _count(wrong: NDArray[np.bool_]) -> str:
    count = int(wrong.sum())
    return f"{count} pixel{'s' if count != 1 else ''}"
