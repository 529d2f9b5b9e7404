"""Masks of SAM, SAM 2 and their relatives in Hugging Face `transformers`."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from rdc_sweeps.errors import UsageError, WeightsError
from rdc_sweeps.regions.checkpoints import checkpoint_path
from rdc_sweeps.regions.mask_generator import FindMasks, MaskGenerator
from rdc_sweeps.regions.masks import Mask
from rdc_sweeps.specs.sources import TransformersRegions


def check_saved_model(spec: TransformersRegions, weights_root: Path | None) -> Path:
    """Check that a folder holds a saved model with safe weights, and return it.

    Raises:
        WeightsError: No weights folder is set, or the folder is missing or incomplete, or holds another kind of model.
    """
    remedy = "save the model there with its `save_pretrained`, or name another folder in regions.checkpoint"
    folder = checkpoint_path(weights_root, spec.checkpoint, remedy, folder=True)
    if not (folder / "config.json").is_file():
        raise WeightsError(f"{folder}: has no config.json; {remedy}")
    if not any(folder.glob("*.safetensors")):
        raise WeightsError(
            f"{folder}: has no *.safetensors, and other formats may run code; save the model with safetensors"
        )
    try:
        kind = json.loads((folder / "config.json").read_bytes())["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder / 'config.json'}: names no model_type; {remedy}") from error
    if not isinstance(kind, str) or ("sam" not in kind and kind != "edgetam"):
        raise WeightsError(f"{folder}: holds a model of type {kind!r}, which finds no masks; {remedy}")
    return folder


def load_pipeline(spec: TransformersRegions, checkpoint: Path, device: str) -> Any:
    """The pipeline of a saved model; it returns a list of `Mask`.

    Raises:
        UsageError: transformers is not installed.
        WeightsError: The model cannot be loaded.
    """
    try:
        from transformers import AutoImageProcessor, AutoModelForMaskGeneration, MaskGenerationPipeline
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise UsageError(
            "regions of transformers need that package: pip install -e '.[transformers]' in the checkout"
        ) from error

    class RunLengths(MaskGenerationPipeline):  # type: ignore[misc]
        """The pipeline without its last step, which unpacks all masks at once."""

        def postprocess(self, model_outputs: Sequence[dict[str, Any]], crops_nms_thresh: float = 0.7) -> list[Mask]:
            """The best of masks whose boxes overlap."""
            from torchvision.ops import nms

            found = [mask for output in model_outputs for mask in output["masks"]]
            scores = torch.cat([output["iou_scores"] for output in model_outputs]).float()
            boxes = torch.cat([output["boxes"] for output in model_outputs]).float()
            kept = nms(boxes, scores, crops_nms_thresh).tolist()
            return [Mask(np.asarray(found[place]["counts"]), float(scores[place])) for place in kept]

    disable_progress_bar()
    try:
        model = AutoModelForMaskGeneration.from_pretrained(checkpoint, local_files_only=True, use_safetensors=True)
        processor = AutoImageProcessor.from_pretrained(checkpoint, local_files_only=True)
    except Exception as error:  # The package raises what it likes.
        raise WeightsError(
            f"{checkpoint}: transformers cannot load this model; save or copy it again\n{error}"
        ) from error
    return RunLengths(model=model.eval(), image_processor=processor, device=device)


class TransformersGenerator(MaskGenerator[TransformersRegions]):
    """The pipeline `mask-generation` of a saved model."""

    check = staticmethod(check_saved_model)
    load = staticmethod(load_pipeline)

    @staticmethod
    def files(checkpoint: Path) -> Iterable[Path]:
        """Weights and settings."""
        return (*checkpoint.glob("*.safetensors"), *checkpoint.glob("*config.json"))

    @property
    def box_nms(self) -> float:
        """The only threshold of the pipeline."""
        return self.spec.crop_nms_thresh

    def finder(self, model: Any) -> FindMasks:
        """The pipeline with its settings; `model` is from `load_pipeline`."""
        options = {
            "points_per_batch": self.spec.points_per_batch,
            "points_per_crop": self.spec.points_per_side,
            "pred_iou_thresh": self.spec.pred_iou_thresh,
            "stability_score_thresh": self.spec.stability_score_thresh,
            "stability_score_offset": self.spec.stability_score_offset,
            "mask_threshold": self.spec.mask_threshold,
            "crops_n_layers": self.spec.crop_n_layers,
            "crops_nms_thresh": self.spec.crop_nms_thresh,
            "crop_overlap_ratio": self.spec.crop_overlap_ratio,
            "crop_n_points_downscale_factor": self.spec.crop_n_points_downscale_factor,
        }

        def find(pixels: NDArray[np.uint8]) -> list[Mask]:
            found: list[Mask] = model(Image.fromarray(pixels), **options)
            return found

        return find
