"""Methods: what is trained besides the supervised losses."""

from typing import Annotated, Literal

from pydantic import Field

from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.contrast import ContrastSpec, GaussianContrast
from rdc_sweeps.specs.regions import ExtractionSpec, RegionExtraction


class Supervised(Spec):
    """Supervised losses of the labels that an image has, and nothing else (MTL)."""

    name: Literal["supervised"] = "supervised"


class MappingSpec(Spec):
    """The mapping network a_theta."""

    channels: tuple[int, ...] = Field(
        (16, 24, 32, 32), min_length=1, description="Channels of its levels; each level ends in a 2x2 max-pool."
    )


class RegionContrast(Spec):
    """Region-aware distribution contrast, and its patch, vector and pixel ablations (eq. 1 to 6)."""

    name: Literal["region_contrast"] = "region_contrast"
    extraction: ExtractionSpec = RegionExtraction()
    contrast: ContrastSpec = GaussianContrast()
    mapping: MappingSpec = MappingSpec()
    region_stride: int = Field(
        2, ge=1, description="Regions are read on a map this much smaller than the image (288x384 -> 144x192)."
    )
    min_pixels: int = Field(10, ge=2, description="Regions with fewer pixels of the region map are left out.")
    weight: float = Field(1.0, ge=0, description="Weight of L_RC; eq. 1 has 1.")
    ramp_epochs: float = Field(0.0, ge=0, description="The weight grows linearly from 0 over this many epochs.")


MethodSpec = Annotated[Supervised | RegionContrast, Field(discriminator="name")]
