"""SAM 2's masks and its published checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from rdc_sweeps.errors import UsageError, WeightsError
from rdc_sweeps.regions.checkpoints import (
    checkpoint_path,
    depth,
    load_state,
    read_checkpoint,
    state_dict,
)
from rdc_sweeps.regions.mask_generator import GridMaskGenerator
from rdc_sweeps.specs.sources import Sam2Regions

ENCODERS = {"hiera_t": (96, 12), "hiera_s": (96, 16), "hiera_b+": (112, 24), "hiera_l": (144, 48)}
"""Width and depth of each image encoder (Ravi et al. 2024)."""

SIZES = {"hiera_t": "tiny", "hiera_s": "small", "hiera_b+": "base_plus", "hiera_l": "large"}
"""Each encoder's name in the name of the published checkpoint."""

ADDED_IN_2_1 = "no_obj_embed_spatial"
"""A tensor that the checkpoints of SAM 2.1 have, and those of SAM 2 do not."""


def check_sam2_checkpoint(spec: Sam2Regions, weights_root: Path | None) -> Path:
    """Check the names and shapes in the checkpoint, without reading the weights, and return its path.

    Raises:
        WeightsError: No weights folder is set, or the file is missing or unreadable, or has another architecture.
    """
    fitting = f"the {spec.model} checkpoint of the SAM 2 project ({published(spec.model)})"
    path = checkpoint_path(
        weights_root, spec.checkpoint, f"put {fitting} there, or name another file in regions.checkpoint"
    )
    held = _held(_state(path))
    if held is None:
        raise WeightsError(f"{path}: not a SAM 2 checkpoint (no Hiera encoder in it); name {fitting}")
    if held != spec.model:
        raise WeightsError(
            f"{path}: holds {held}, but regions.model is {spec.model}; set regions.model to what it holds, or name "
            f"{fitting} in regions.checkpoint"
        )
    return path


def load_sam2(spec: Sam2Regions, checkpoint: Path, device: str) -> Any:
    """The `sam2` model of a checkpoint, in evaluation mode.

    Raises:
        UsageError: sam2 is not installed.
        WeightsError: The checkpoint is unreadable or does not fit the model.
    """
    try:
        from sam2.build_sam import build_sam2
    except ImportError as error:
        raise UsageError("SAM 2 regions need sam2: pip install -e '.[sam2]' in the checkout") from error
    model = build_sam2(f"configs/{spec.model.partition('_')[0]}/{spec.model}.yaml", device="cpu")
    load_state(
        model,
        _state(checkpoint),
        f"{checkpoint}: does not fit {spec.model}; name its checkpoint {published(spec.model)}",
    )
    return model.to(device).eval()


class Sam2Generator(GridMaskGenerator[Sam2Regions]):
    """SAM 2's automatic mask generator (Ravi et al. 2024), for single images."""

    check = staticmethod(check_sam2_checkpoint)
    load = staticmethod(load_sam2)

    @staticmethod
    def generator(model: Any, **options: Any) -> Any:
        """The package's."""
        from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator

        return SAM2AutomaticMaskGenerator(model, **options)


def published(model: str) -> str:
    """File name of a model's published checkpoint."""
    family, _, encoder = model.partition("_")
    return f"{family}_hiera_{SIZES[encoder]}.pt"


def _state(path: Path) -> dict[str, Tensor]:
    found = read_checkpoint(path)
    return state_dict(found.get("model", found) if isinstance(found, dict) else found, path)


def _held(state: Mapping[str, Tensor]) -> str | None:
    """Name of the model of a state dict, or its size if there is no such model; None if it is none of SAM 2."""
    position = state.get("image_encoder.trunk.pos_embed")
    if position is None or position.ndim != 4:
        return None
    size = position.shape[1], depth(state, "image_encoder.trunk.blocks.")
    names = {encoder: name for name, encoder in ENCODERS.items()}
    encoder = names.get(size, "an image encoder of width {} and depth {}".format(*size))
    if size not in names:
        return encoder
    return f"{'sam2.1' if ADDED_IN_2_1 in state else 'sam2'}_{encoder}"
