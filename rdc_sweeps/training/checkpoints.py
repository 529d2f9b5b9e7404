"""Checkpoints: everything needed to resume exactly, in one file that is replaced atomically.

The file is PyTorch's, followed by a line with the CRC-32 of all bytes before it: PyTorch itself would load most damaged
tensors without a word.
"""

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from rdc_sweeps.errors import CheckpointError
from rdc_sweeps.files import Write, open_file, write_atomically

FORMAT = 1

CHECKSUM = b"\nrdc-sweeps %08x\n"
CHECKSUM_BYTES = len(CHECKSUM % 0)
CHUNK_BYTES = 2**20

REMEDY = "train from the beginning with --rerun, or restore the file from a backup and use --retry-failed"


def save_checkpoint(path: Path, run: str, state: Mapping[str, Any], write: Write = write_atomically) -> None:
    """Save `state` (tensors and plain values); the old checkpoint is kept until the new one is on disk."""

    def save(file: IO[bytes]) -> None:
        summed = _SummedFile(file)
        torch.save({"format": FORMAT, "run": run, **state}, summed)  # type: ignore[arg-type]
        file.write(CHECKSUM % summed.checksum)

    write(path, save)


def kept_checkpoint(last: Path, epoch: int) -> Path:
    """The file with the weights after an epoch, beside the last checkpoint; see `TrainingSpec.keep_checkpoints`."""
    return last.with_name(f"epoch-{epoch}.pt")


def seen_epoch(state: Mapping[str, Any]) -> int:
    """The last epoch, counted from 0, that the weights of a checkpoint have seen, at least a part of it."""
    # The last checkpoint counts finished epochs, and may be of the middle of one; a kept one names its epoch.
    return max(0, int(state["epoch"]) - (state.get("step") == 0))


def load_checkpoint(path: Path, run: str) -> dict[str, Any] | None:
    """Load the checkpoint of a run to the CPU; None if there is none.

    Raises:
        CheckpointError: The file is damaged, belongs to another run or has another format.
        DamagedError: Something that is no file is in its place.
        OSError: The disk cannot be read.
    """
    try:
        problem = _damage(path)
    except FileNotFoundError:
        return None
    if problem:
        raise CheckpointError(f"{path}: {problem}; {REMEDY}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        # It is what was written; but whoever can write to the folder can write anything, with a checksum.
        raise CheckpointError(f"{path}: cannot be read ({type(error).__name__}: {error}); {REMEDY}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this version; {REMEDY}")
    if state.get("run") != run:
        raise CheckpointError(f"{path}: belongs to run {state.get('run')}, not {run}; {REMEDY}")
    return state


class _SummedFile:
    """Sums the bytes that are written to a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.checksum = 0

    def write(self, content: bytes) -> int:
        """Write them all."""
        self.checksum = zlib.crc32(content, self.checksum)
        return self._file.write(content)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()


def _damage(path: Path) -> str | None:
    """What is wrong with the bytes of a checkpoint; None if they are what was written."""
    with open_file(path) as file:
        left = os.fstat(file.fileno()).st_size - CHECKSUM_BYTES
        checksum = 0
        while left > 0 and (chunk := file.read(min(left, CHUNK_BYTES))):
            checksum = zlib.crc32(chunk, checksum)
            left -= len(chunk)
        end = file.read()
    if end == CHECKSUM % checksum:
        return None
    if not end.startswith(CHECKSUM[:8]):
        return "has no checksum: it is truncated, or of an earlier version of rdc-sweep, which can finish the run"
    return "is damaged: its checksum does not match"
