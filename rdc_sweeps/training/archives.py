"""Arrays in one file of a run: a NumPy archive without pickles, with a checksum that also covers the run's id.

Imports no PyTorch, because reports read them.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.errors import DamagedError
from rdc_sweeps.files import Write, read_file, write_atomically
from rdc_sweeps.seals import seal_archive, unseal_archive

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by name."""


def save_arrays(path: Path, run: str, arrays: Arrays, write: Write = write_atomically) -> None:
    """Save arrays; equal arrays give equal bytes."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    sealed = seal_archive(content.getvalue(), run)
    write(path, lambda file: file.write(sealed))


def load_arrays(path: Path, run: str) -> Arrays | None:
    """Load the arrays of a run; None if there is no such file.

    Raises:
        DamagedError: The file is not what was written, or is another run's.
        OSError: The disk cannot be read.
    """
    try:
        text = read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        with np.load(io.BytesIO(unseal_archive(text, run)), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # The errors of the zip, zlib and npy readers have no common base class.
        raise DamagedError(f"{path}: is damaged ({error}), or is another run's; {REMEDY}") from error


REMEDY = "move it away, and it is computed from the run's checkpoint where it is needed"
