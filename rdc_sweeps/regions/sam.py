"""Segment Anything's masks, combined into one id map."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from rdc_sweeps.errors import UsageError
from rdc_sweeps.regions.generator import eight_bit, generator_key
from rdc_sweeps.regions.maps import NO_REGION, IdMap, contiguous
from rdc_sweeps.regions.sam_checkpoint import check_sam_checkpoint, checkpoint_checksum, load_sam
from rdc_sweeps.specs.sources import SamRegions


class Mask(NamedTuple):
    """A mask (H, W) and SAM's own estimate of its IoU."""

    pixels: NDArray[np.bool_]
    predicted_iou: float


def overlay(masks: Sequence[Mask], height: int, width: int) -> IdMap:
    """Combine masks that can overlap into one id map (H, W).

    The rule: a pixel belongs to the smallest mask that covers it; of masks of equal area to the one with the higher
    predicted IoU, then to the one that starts first, row by row. Pixels that no mask covers are `NO_REGION`. Ids are
    renumbered 0..n-1 in order of first appearance, row by row, so that the order of the masks does not matter and a
    mask hidden by smaller ones has no id.
    """

    def painted_first(mask: Mask) -> tuple[int, float, bytes]:
        # Packed bits order masks by their first differing pixel: its mask starts earlier and is painted later.
        return -int(mask.pixels.sum()), mask.predicted_iou, np.packbits(mask.pixels).tobytes()

    ids = np.full((height, width), NO_REGION, np.int32)
    for number, mask in enumerate(sorted(masks, key=painted_first)):
        ids[mask.pixels] = number
    return contiguous(ids)


class SamGenerator:
    """SAM's automatic mask generator (Kirillov et al. 2023); `overlay` combines its masks.

    Args:
        spec: Settings of the mask generator.
        weights: Identifies the weights in `key`; called on the first access, since it reads the whole file.
        load: Creates the `segment_anything` model; called when the first map is computed.

    Raises:
        UsageError: `min_mask_region_area` is set, but OpenCV is not installed.
    """

    def __init__(self, spec: SamRegions, weights: Callable[[], str], load: Callable[[], Any]) -> None:
        if spec.min_mask_region_area and find_spec("cv2") is None:
            raise UsageError(
                "regions.min_mask_region_area needs OpenCV: pip install opencv-python-headless, or set it to 0"
            )
        self.spec = spec
        self._weights = weights
        self._load = load

    @classmethod
    def from_checkpoint(cls, spec: SamRegions, weights_root: Path | None, device: str) -> Self:
        """Create the generator from a checkpoint file.

        Raises:
            WeightsError: The checkpoint is missing, damaged, or has another architecture.
        """
        path = check_sam_checkpoint(spec, weights_root)
        return cls(spec, partial(checkpoint_checksum, path), partial(load_sam, spec, path, device))

    @cached_property
    def key(self) -> str:
        """Settings, the weights' checksum, and the overlap rule."""
        settings = self.spec.model_dump(mode="json", exclude={"checkpoint"})
        return generator_key({**settings, "weights": self._weights(), "overlap": "smallest"})

    @cached_property
    def _generator(self) -> Any:
        model = self._load()
        from segment_anything import SamAutomaticMaskGenerator

        return SamAutomaticMaskGenerator(model, **self.spec.model_dump(exclude={"source", "model", "checkpoint"}))

    def __call__(self, image: NDArray[np.floating[Any]]) -> IdMap:
        """Id map (H, W); all `NO_REGION` if SAM finds no mask."""
        pixels = eight_bit(image)
        with torch.inference_mode():
            found = self._generator.generate(pixels)
        masks = [Mask(mask["segmentation"], mask["predicted_iou"]) for mask in found]
        return overlay(masks, *pixels.shape[:2])
