"""Arrays in MATLAB files: v7.3, which is HDF5 with the axes reversed, and v5."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.errors import DataError

HEADER = 128
"""Bytes of the text and version that MATLAB begins its files with."""


class MatlabFile:
    """An open v7.3 file, of which parts of arrays are read.

    Axes are in the order of the file, which is the reverse of that in MATLAB.
    """

    def __init__(self, path: Path, file: Any) -> None:
        self.path = path
        self._file = file

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array.

        Raises:
            DataError: There is no such array, or it is not in this file.
        """
        return tuple(self._dataset(name).shape)

    def dtype(self, name: str) -> "np.dtype[Any]":
        """The type of an array's values."""
        dtype: np.dtype[Any] = self._dataset(name).dtype
        return dtype

    def part(self, name: str, index: int) -> AnyArray:
        """Read one element of the first axis.

        Raises:
            DataError: It is damaged.
        """
        try:
            values: AnyArray = self._dataset(name)[index]
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(
                f"{self.path}: {name} is damaged at element {index} ({error}); download the file again"
            ) from error
        return values

    def _dataset(self, name: str) -> Any:
        link = self._file.get(name, getlink=True)
        if link is None:
            raise DataError(f"{self.path}: has no array {name}; it has {', '.join(sorted(self._file)) or 'none'}")
        # A file of others must not make us read further files.
        found = self._file[name] if isinstance(link, h5py.HardLink) else None
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
            raise DataError(f"{self.path}: {name} is not an array in this file; download it again")
        return found


@contextmanager
def open_matlab(path: Path) -> Iterator[MatlabFile]:
    """Open a v7.3 file.

    Raises:
        DataError: It is missing, truncated, or another kind of file.
    """
    try:
        with path.open("rb") as plain:
            header = plain.read(HEADER)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    if header.startswith(b"MATLAB 5.0"):
        raise DataError(f"{path}: a MATLAB v5 file, expected one of v7.3")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: truncated, or not a MATLAB v7.3 file ({error}); download it again") from error
    with file:
        yield MatlabFile(path, file)


def read_v5(path: Path, names: tuple[str, ...]) -> Mapping[str, AnyArray]:
    """Read arrays of a v5 file.

    Raises:
        DataError: It is missing, damaged, or has no such arrays of numbers.
    """
    from scipy.io import loadmat

    try:
        found = loadmat(path, variable_names=names, appendmat=False)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except OSError:
        raise
    except Exception as error:  # The parser raises what it likes.
        raise DataError(f"{path}: damaged, or not a MATLAB v5 file ({error}); download it again") from error
    for name in names:
        if name not in found or found[name].dtype.kind not in "buif":
            raise DataError(f"{path}: has no array of numbers {name}; download it again")
    return {name: found[name] for name in names}
