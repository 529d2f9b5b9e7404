"""SAM's checkpoint: checked before training, loaded when the first map is computed."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rdc_sweeps.errors import UsageError, WeightsError
from rdc_sweeps.specs.sources import SamRegions

ENCODERS = {"vit_b": (768, 12), "vit_l": (1024, 24), "vit_h": (1280, 32)}
"""Width and depth of the image encoder of each published model (Kirillov et al. 2023)."""

PUBLISHED = {
    "vit_b": "sam_vit_b_01ec64.pth",
    "vit_l": "sam_vit_l_0b3195.pth",
    "vit_h": "sam_vit_h_4b8939.pth",
}
"""File name of each model's published checkpoint."""


def check_sam_checkpoint(spec: SamRegions, weights_root: Path | None) -> Path:
    """Check the names and shapes in the checkpoint, without reading the weights, and return its path.

    Raises:
        WeightsError: No weights folder is set, or the file is missing or unreadable, or has another architecture.
    """
    if weights_root is None:
        raise WeightsError(
            f"SAM regions need the checkpoint {spec.checkpoint}, but no weights folder is set: "
            "set RDC_SWEEP_WEIGHTS_ROOT (weights_root in rdc-sweep.toml) to the folder that holds it"
        )
    path = weights_root / spec.checkpoint
    if not path.is_file():
        raise WeightsError(
            f"{path}: SAM checkpoint not found; put the {spec.model} checkpoint of the segment-anything project "
            f"({PUBLISHED[spec.model]}) there, or name another file in regions.checkpoint"
        )
    state = _state_dict(path)
    found = _encoder(state)
    if found is None:
        raise WeightsError(f"{path}: not a SAM checkpoint (no SAM image encoder in it); {_remedy(spec)}")
    if found != ENCODERS[spec.model]:
        names = {encoder: model for model, encoder in ENCODERS.items()}
        held = names.get(found, "an image encoder of width {} and depth {}".format(*found))
        raise WeightsError(
            f"{path}: holds {held}, but regions.model is {spec.model}; {_remedy(spec, names.get(found))}"
        )
    return path


def checkpoint_checksum(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def load_sam(spec: SamRegions, path: Path, device: str) -> Any:
    """The `segment_anything` model of a checkpoint, in evaluation mode.

    Raises:
        UsageError: segment-anything is not installed.
        WeightsError: The checkpoint is unreadable or does not fit the model.
    """
    try:
        from segment_anything import sam_model_registry
    except ImportError as error:
        raise UsageError("SAM regions need segment-anything: pip install -e '.[sam]' in the checkout") from error
    model = sam_model_registry[spec.model]()
    try:
        model.load_state_dict(_state_dict(path))
    except RuntimeError as error:
        raise WeightsError(f"{path}: does not fit SAM's {spec.model}; {_remedy(spec)}\n{error}") from error
    return model.to(device).eval()


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True) if zipfile.is_zipfile(path) else None
    except Exception as error:  # The errors of the zip and pickle readers have no common base class.
        raise WeightsError(f"{path}: cannot be read as PyTorch weights; copy or download it again\n{error}") from error
    if state is None:
        raise WeightsError(
            f"{path}: not a PyTorch checkpoint, or cut short ({path.stat().st_size} bytes); copy or download it again"
        )
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise WeightsError(f"{path}: not a state dict (names to tensors); use the unmodified published checkpoint")
    return state


def _encoder(state: dict[str, Tensor]) -> tuple[int, int] | None:
    """Width and depth of the image encoder; None if there is none."""
    position = state.get("image_encoder.pos_embed")
    if position is None or position.ndim != 4:
        return None
    blocks = {name.split(".")[2] for name in state if name.startswith("image_encoder.blocks.")}
    return position.shape[-1], len(blocks)


def _remedy(spec: SamRegions, held: str | None = None) -> str:
    fitting = f"name the {spec.model} checkpoint ({PUBLISHED[spec.model]}) in regions.checkpoint"
    return f"set regions.model to {held}, or {fitting}" if held else fitting
