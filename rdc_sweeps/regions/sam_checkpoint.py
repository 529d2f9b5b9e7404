"""Published checkpoints of Segment Anything."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from rdc_sweeps.errors import UsageError, WeightsError
from rdc_sweeps.regions.checkpoints import checkpoint_path, depth, load_state, read_checkpoint, state_dict
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
    path = checkpoint_path(
        weights_root,
        spec.checkpoint,
        f"put the {spec.model} checkpoint of the segment-anything project ({PUBLISHED[spec.model]}) there, or name "
        "another file in regions.checkpoint",
    )
    found = _encoder(_state(path))
    if found is None:
        raise WeightsError(f"{path}: not a SAM checkpoint (no SAM image encoder in it); {_remedy(spec)}")
    if found != ENCODERS[spec.model]:
        names = {encoder: model for model, encoder in ENCODERS.items()}
        held = names.get(found, "an image encoder of width {} and depth {}".format(*found))
        raise WeightsError(
            f"{path}: holds {held}, but regions.model is {spec.model}; {_remedy(spec, names.get(found))}"
        )
    return path


def load_sam(spec: SamRegions, checkpoint: Path, device: str) -> Any:
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
    load_state(model, _state(checkpoint), f"{checkpoint}: does not fit SAM's {spec.model}; {_remedy(spec)}")
    return model.to(device).eval()


def _state(path: Path) -> dict[str, Tensor]:
    return state_dict(read_checkpoint(path), path)


def _encoder(state: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """Width and depth of the image encoder; None if there is none."""
    position = state.get("image_encoder.pos_embed")
    if position is None or position.ndim != 4:
        return None
    return position.shape[-1], depth(state, "image_encoder.blocks.")


def _remedy(spec: SamRegions, held: str | None = None) -> str:
    fitting = f"name the {spec.model} checkpoint ({PUBLISHED[spec.model]}) in regions.checkpoint"
    return f"set regions.model to {held}, or {fitting}" if held else fitting
