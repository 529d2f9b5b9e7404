"""Conversion of stored arrays to the arrays of a `Scene`: checks, data types, resolution."""

import io
import math
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from rdc_sweeps.data import passes
from rdc_sweeps.data.memory import Memory
from rdc_sweeps.data.scene import VOID, Floats
from rdc_sweeps.data.stamps import number_of
from rdc_sweeps.data.units import UNIT_SHARE, DepthUnit, image_problem, normal_problem
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Size

READING = (1, PIL.__version__)
"""How files are read; the number is increased whenever the same files give other values. Pillow resamples."""

AnyArray = np.ndarray[Any, np.dtype[Any]]

HEADER = 128
"""Bytes before the values of an array in a `.npy` file, unless it has very many axes."""


class Stored(NamedTuple):
    """An array and its file.

    Attributes:
        path: The file.
        values: The array, memory-mapped or in memory.
        free: Whether the array may be overwritten, since nobody else has it.
        stamp: That of the file before it was read, see `number_of`; 0 if it is not known.
    """

    path: Path
    values: AnyArray
    free: bool = False
    stamp: int = 0


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


def read_array(path: Path, memory: Memory) -> Stored:
    """Read a `.npy` file into memory: in less time than memory-mapping a file and copying its pages takes.

    Raises:
        DataError: See `open_array`.
    """
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            shape, dtype = _layout(os.read(file, HEADER))
            # Not before: a damaged header may claim any size.
            if (status := os.fstat(file)).st_size >= HEADER + math.prod(shape) * dtype.itemsize:
                values = memory.array(shape, dtype)
                if os.readv(file, [values.data]) == values.nbytes:
                    return Stored(path, values, free=True, stamp=number_of(status))
        finally:
            os.close(file)
    except Exception:  # See `open_array`.
        pass
    # It says what is wrong, and reads what is written in another way.
    return open_array(path)


@lru_cache
def _layout(header: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array in C order, given the first bytes of a file; ValueError for any other header."""
    file = io.BytesIO(header)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version")
    shape, transposed, dtype = np.lib.format.read_array_header_1_0(file)
    if transposed or file.tell() != HEADER or dtype.kind not in "buif" or min(shape, default=0) < 1:
        raise ValueError("another layout")
    return shape, dtype


def image_of(stored: Stored, size: Size) -> Floats:
    """A stored image as (H, W, 3) float32 in [0, 1], antialiased when downsampled.

    Integers are divided by 255 (uint16 by 65535).
    """
    path, values = triples(stored)[:2]
    image = _own(stored, np.float32)
    if values.dtype.kind in "ui":
        image /= np.float32(65535 if values.dtype == np.uint16 else 255)
    low, high, between = passes.bounds(image)
    if not high <= 1:
        low, high = float(image.min()), float(image.max())
        if not (low >= -1e-3 and high <= 1 + 1e-3):
            raise DataError(f"{path}: image values from {low:g} to {high:g}; write uint8, or floats in [0, 1]")
        image = np.clip(image, 0, 1)
        between = int(np.count_nonzero((image != 0) & (image != 1)))
    if problem := image_problem(low, high, between):
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
    stored = _seen(plane(stored), size)
    path, values = stored[:2]
    with np.errstate(invalid="ignore"):  # NaN is equal to no label
        labels: NDArray[np.int16] = _own(stored, np.int16)
    if not (labels.min() >= VOID and labels.max() < classes and (labels is values or (labels == values).all())):
        # Compare before converting, since large values wrap.
        right = (values >= VOID) & (values < classes) & (values == np.floor(values))
        found = ", ".join(f"{value:g}" for value in np.unique(values[~right])[:5].tolist())
        raise DataError(
            f"{path}: {_count(~right)} with an invalid label ({found}); "
            f"labels are 0 to {classes - 1}, and {VOID} for void"
        )
    return labels


def depth_of(stored: Stored, size: Size, unit: DepthUnit | None = None) -> Floats:
    """Stored depth (H, W) or (H, W, 1) as (H, W) float32 in `unit`, if one is known; 0 is invalid."""
    stored = _seen(plane(stored), size)
    path = stored.path
    depth: Floats = _own(stored, np.float32)
    if np.isnan(passes.bounds(depth).high) and not (right := np.isfinite(depth) & (depth >= 0)).all():
        raise DataError(
            f"{path}: {_count(~right)} with a depth of NaN, infinity or less than 0; "
            "write 0 where there is no measurement"
        )
    if unit and (problem := unit.problem(depth)):
        raise DataError(f"{path}: {problem}")
    return depth


def normal_of(stored: Stored, size: Size) -> Floats:
    """Stored surface normals (H, W, 3) as (H, W, 3) float32 of unit length; (0, 0, 0) is invalid."""
    seen = _seen(triples(stored), size)
    normal: Floats = _own(seen, np.float32)
    found = passes.normalize(normal)
    if found.wrong or not found.negative or found.unit < UNIT_SHARE * found.some:
        if normal is seen.values:
            # Seldom, and mostly an error: the values that were read are overwritten.
            return normal_of(open_array(stored.path), size)
        _check_normals(stored.path, np.array(seen.values, np.float32))
    return normal


def _check_normals(path: Path, normal: Floats) -> None:
    with np.errstate(over="ignore", invalid="ignore"):  # the check below names such values
        square = np.square(normal[..., 0]) + np.square(normal[..., 1]) + np.square(normal[..., 2])
    if problem := normal_problem(normal, square):
        raise DataError(f"{path}: {problem}")
    if not (right := square <= 4).all():
        raise DataError(
            f"{path}: {_count(~right)} with a normal that is NaN or longer than 2; write unit vectors as floats, "
            "and (0, 0, 0) where there is none"
        )


def triples(stored: Stored) -> Stored:
    """The array if it is (H, W, 3).

    Raises:
        DataError: It is not.
    """
    path, values = stored[:2]
    if values.ndim != 3 or values.shape[2] != 3 or not values.size:
        raise DataError(f"{path}: shape {values.shape}, expected (H, W, 3), channels last; write it in that layout")
    return stored


def plane(stored: Stored) -> Stored:
    """The array as (H, W), also if it is (H, W, 1).

    Raises:
        DataError: It has another shape.
    """
    path, values = stored[:2]
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 or not values.size:
        raise DataError(f"{path}: shape {values.shape}, expected (H, W) or (H, W, 1); write it in that layout")
    return stored._replace(values=values)


def _seen(stored: Stored, size: Size) -> Stored:
    """The array at a size."""
    values = nearest(stored.values, size)
    return stored if values is stored.values else Stored(stored.path, values, free=True)


def _own(stored: Stored, dtype: DTypeLike) -> AnyArray:
    """The values as an array in C order that may be overwritten."""
    values = stored.values
    if stored.free and values.dtype == dtype and values.flags.c_contiguous:
        return values
    return np.array(values, dtype, order="C")


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
