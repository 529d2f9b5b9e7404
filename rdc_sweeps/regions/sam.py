"""Segment Anything's masks."""

from functools import partial
from pathlib import Path
from typing import Any, Self

from rdc_sweeps.regions.checkpoints import checkpoint_checksum
from rdc_sweeps.regions.mask_generator import FindMasks, MaskGenerator, grid_options, masks_of
from rdc_sweeps.regions.sam_checkpoint import check_sam_checkpoint, load_sam
from rdc_sweeps.specs.sources import SamRegions


class SamGenerator(MaskGenerator[SamRegions]):
    """SAM's automatic mask generator (Kirillov et al. 2023)."""

    @classmethod
    def from_checkpoint(cls, spec: SamRegions, weights_root: Path | None, device: str) -> Self:
        """Create the generator from a checkpoint file.

        Raises:
            WeightsError: The checkpoint is missing, damaged, or has another architecture.
        """
        path = check_sam_checkpoint(spec, weights_root)
        return cls(spec, partial(checkpoint_checksum, path), partial(load_sam, spec, path, device))

    @property
    def box_nms(self) -> float:
        """The larger one of the thresholds, as in segment-anything."""
        return max(self.spec.box_nms_thresh, self.spec.crop_nms_thresh)

    def finder(self, model: Any) -> FindMasks:
        """SAM's generator; `model` is of the package `segment_anything`."""
        from segment_anything import SamAutomaticMaskGenerator

        generator = SamAutomaticMaskGenerator(model, **grid_options(self.spec), output_mode="uncompressed_rle")
        return lambda pixels: masks_of(generator.generate(pixels))
