"""Files of weights: where they are, what is in them, and their identity."""

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rdc_sweeps.errors import WeightsError


def checkpoint_path(weights_root: Path | None, name: str, remedy: str, *, folder: bool = False) -> Path:
    """The path of a checkpoint, which exists.

    Args:
        weights_root: The folder of weights.
        name: Of the checkpoint in it.
        remedy: What to do if it does not exist.
        folder: Whether it is a folder rather than a file.

    Raises:
        WeightsError: No weights folder is set, or there is no such checkpoint.
    """
    if weights_root is None:
        raise WeightsError(
            f"SAM regions need the checkpoint {name}, but no weights folder is set: "
            "set RDC_SWEEP_WEIGHTS_ROOT (weights_root in rdc-sweep.toml) to the folder that holds it"
        )
    path = weights_root / name
    if not (path.is_dir() if folder else path.is_file()):
        raise WeightsError(f"{path}: SAM checkpoint not found; {remedy}")
    return path


def checkpoint_checksum(*paths: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file, or of the names and SHA-256 of several."""
    if len(paths) == 1:
        with paths[0].open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    parts = "".join(f"{path.name} {checkpoint_checksum(path)}\n" for path in sorted(paths))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def read_checkpoint(path: Path) -> Any:
    """What PyTorch saved in a file: tensors and plain values, since nothing else is unpickled; memory-mapped.

    Raises:
        WeightsError: The file is cut short, or is something else.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True) if zipfile.is_zipfile(path) else None
    except Exception as error:  # The errors of the zip and pickle readers have no common base class.
        raise WeightsError(f"{path}: cannot be read as PyTorch weights; copy or download it again\n{error}") from error
    if found is None:
        raise WeightsError(
            f"{path}: not a PyTorch checkpoint, or cut short ({path.stat().st_size} bytes); copy or download it again"
        )
    return found


def state_dict(found: Any, path: Path) -> dict[str, Tensor]:
    """The state dict that a checkpoint is.

    Raises:
        WeightsError: It is none.
    """
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        raise WeightsError(f"{path}: not a state dict (names to tensors); use the unmodified published checkpoint")
    return found


def depth(names: Iterable[str], prefix: str) -> int:
    """Number of blocks whose tensors are named `prefix` and a number."""
    return len({name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)})


def load_state(model: torch.nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load a state dict.

    Args:
        model: A network.
        state: Its state dict.
        what: Beginning of the error, with the remedy.

    Raises:
        WeightsError: Names or shapes differ.
    """
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{what}\n{error}") from error
