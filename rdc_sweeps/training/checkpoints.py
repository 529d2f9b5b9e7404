"""Checkpoints: everything needed to resume exactly, in one file that is replaced atomically."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch

from rdc_sweeps.errors import CheckpointError
from rdc_sweeps.files import Write, write_atomically

FORMAT = 1


def save_checkpoint(path: Path, run: str, state: Mapping[str, Any], write: Write = write_atomically) -> None:
    """Save `state` (tensors and plain values); the old checkpoint is kept until the new one is on disk."""
    write(path, lambda file: torch.save({"format": FORMAT, "run": run, **state}, file))


def kept_checkpoint(last: Path, epoch: int) -> Path:
    """The file with the weights after an epoch, beside the last checkpoint; see `TrainingSpec.keep_checkpoints`."""
    return last.with_name(f"epoch-{epoch}.pt")


def load_checkpoint(path: Path, run: str) -> dict[str, Any] | None:
    """Load the checkpoint of a run to the CPU; None if there is none.

    Raises:
        CheckpointError: The file is damaged, belongs to another run or has another format.
    """
    if not path.exists():
        return None
    remedy = "train from the beginning with --rerun"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError, BadZipFile) as error:
        raise CheckpointError(f"{path}: cannot be read ({type(error).__name__}); {remedy}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of this version; {remedy}")
    if state.get("run") != run:
        raise CheckpointError(f"{path}: belongs to run {state.get('run')}, not {run}; {remedy}")
    return state
