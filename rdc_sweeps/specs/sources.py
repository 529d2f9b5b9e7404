"""Region sources: where region maps come from."""

from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from rdc_sweeps.specs.base import RelativeFile, Spec
from rdc_sweeps.specs.extensions import union_of


class SamRegions(Spec):
    """Segment Anything's automatic mask generator (Kirillov et al. 2023) with its published defaults."""

    source: Literal["sam"] = "sam"
    model: Literal["vit_h", "vit_l", "vit_b"] = Field("vit_h", description="Size of the image encoder.")
    checkpoint: RelativeFile = Field("sam_vit_h_4b8939.pth", description="Relative to the weights folder.")
    points_per_side: int = Field(32, ge=1, le=1024, description="Prompts: points of a grid along each side.")
    pred_iou_thresh: float = Field(0.88, ge=0, le=1, description="Masks whose predicted quality is lower are dropped.")
    stability_score_thresh: float = Field(
        0.95, ge=0, le=1, description="Masks that change more with the threshold of their logits are dropped."
    )
    box_nms_thresh: float = Field(0.7, ge=0, le=1, description="Of masks whose boxes overlap more, the best is kept.")
    crop_n_layers: int = Field(
        0, ge=0, le=8, description="Also prompt on crops, for smaller masks: layer i has 4^i crops."
    )
    crop_n_points_downscale_factor: int = Field(1, ge=1, le=1024, description="Layer i has points_per_side / this^i.")
    min_mask_region_area: int = Field(
        0, ge=0, le=10**8, description="Remove islands and holes of a mask with fewer pixels than this; needs OpenCV."
    )

    @model_validator(mode="after")
    def _crops_have_points(self) -> Self:
        if self.points_per_side < self.crop_n_points_downscale_factor**self.crop_n_layers:
            raise ValueError(
                f"points_per_side {self.points_per_side} leaves crop layer {self.crop_n_layers} without points; "
                "lower crop_n_layers or crop_n_points_downscale_factor"
            )
        return self


class SuperpixelRegions(Spec):
    """SLIC superpixels (Achanta et al. 2012, scikit-image)."""

    source: Literal["superpixel"] = "superpixel"
    segments: int = Field(60, ge=1, le=10**6, description="Approximate number of regions per image.")
    compactness: float = Field(
        20.0,
        ge=1e-3,
        le=1e6,
        description="Larger values give squarer regions, smaller values follow colour more closely.",
    )
    sigma: float = Field(1.0, ge=0, le=100, description="Gaussian smoothing before segmentation, pixels.")


class SemanticRegions(Spec):
    """The semantic label's classes as regions (Table 4); full supervision only."""

    source: Literal["semantic"] = "semantic"


BuiltinSource = SamRegions | SuperpixelRegions | SemanticRegions

if TYPE_CHECKING:
    RegionSource = Annotated[BuiltinSource, Field(discriminator="source")]
else:
    __getattr__ = union_of("RegionSource", "rdc_sweeps.regions", get_args(BuiltinSource))
