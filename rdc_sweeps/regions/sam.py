"""Segment Anything's masks."""

from typing import Any

from rdc_sweeps.regions.mask_generator import GridMaskGenerator
from rdc_sweeps.regions.sam_checkpoint import check_sam_checkpoint, load_sam
from rdc_sweeps.specs.sources import SamRegions


class SamGenerator(GridMaskGenerator[SamRegions]):
    """SAM's automatic mask generator (Kirillov et al. 2023)."""

    check = staticmethod(check_sam_checkpoint)
    load = staticmethod(load_sam)

    @staticmethod
    def generator(model: Any, **options: Any) -> Any:
        """Segment-anything's."""
        from segment_anything import SamAutomaticMaskGenerator

        return SamAutomaticMaskGenerator(model, **options)
