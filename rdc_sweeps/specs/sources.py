"""Region sources: where region maps come from."""

from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from rdc_sweeps.specs.base import RelativeFile, Spec, added_field
from rdc_sweeps.specs.extensions import union_of

Share = Annotated[float, Field(ge=0, le=1)]
"""A coordinate as a part of the image's width or height."""

PointGrid = Annotated[tuple[tuple[Share, Share], ...], Field(min_length=1, max_length=2**20)]
"""Prompts (x, y)."""


class MaskRegions(Spec):
    """Fields common to networks that find a mask for each point of a grid, in the names of segment-anything."""

    source: str
    checkpoint: RelativeFile = Field(description="Relative to the weights folder.")
    points_per_side: int = Field(32, ge=1, le=1024, description="Prompts: points of a grid along each side.")
    points_per_batch: int = added_field(
        64, ge=1, le=2**20, description="Prompts answered at once; fewer need less memory. Maps do not depend on it."
    )
    pred_iou_thresh: float = Field(0.88, ge=0, le=1, description="Masks whose predicted quality is lower are dropped.")
    stability_score_thresh: float = Field(
        0.95, ge=0, le=1, description="Masks that change more with the threshold of their logits are dropped."
    )
    stability_score_offset: float = added_field(
        1.0, ge=0, le=1000, description="How far the threshold of the logits is moved for that."
    )
    crop_n_layers: int = Field(
        0, ge=0, le=8, description="Also prompt on crops, for smaller masks: layer i has 4^i crops."
    )
    crop_nms_thresh: float = added_field(
        0.7,
        ge=0,
        le=1,
        description="Of masks of different crops whose boxes overlap more, that of the smaller crop is kept.",
    )
    crop_overlap_ratio: float = added_field(
        512 / 1500, ge=0, le=1, description="By how much of the image's shorter side crops overlap in layer 1."
    )
    crop_n_points_downscale_factor: int = Field(1, ge=1, le=1024, description="Layer i has points_per_side / this^i.")
    min_mask_region_area: int = Field(
        0, ge=0, le=10**8, description="Remove islands and holes of a mask with fewer pixels than this."
    )

    @model_validator(mode="after")
    def _crops_have_points(self) -> Self:
        if self.points_per_side < self.crop_n_points_downscale_factor**self.crop_n_layers:
            raise ValueError(
                f"points_per_side {self.points_per_side} leaves crop layer {self.crop_n_layers} without points; "
                "lower crop_n_layers or crop_n_points_downscale_factor"
            )
        return self


class GridMaskRegions(MaskRegions):
    """Fields that the mask generators of segment-anything and SAM 2 have in common."""

    box_nms_thresh: float = Field(0.7, ge=0, le=1, description="Of masks whose boxes overlap more, the best is kept.")
    point_grids: tuple[PointGrid, ...] | None = added_field(
        None,
        description="Prompts (x, y) as parts of the width and height, instead of points_per_side: a list for the "
        "image, and one for each layer of crops.",
    )

    @model_validator(mode="after")
    def _layers_have_grids(self) -> Self:
        if self.point_grids is not None and len(self.point_grids) != self.crop_n_layers + 1:
            raise ValueError(
                f"point_grids has {len(self.point_grids)} lists of points; with crop_n_layers {self.crop_n_layers} it "
                f"needs {self.crop_n_layers + 1}"
            )
        return self


class SamRegions(GridMaskRegions):
    """Segment Anything's automatic mask generator (Kirillov et al. 2023) with its published defaults."""

    source: Literal["sam"] = "sam"
    model: Literal["vit_h", "vit_l", "vit_b"] = Field("vit_h", description="Size of the image encoder.")
    checkpoint: RelativeFile = Field("sam_vit_h_4b8939.pth", description="Relative to the weights folder.")


class Sam2Regions(GridMaskRegions):
    """SAM 2's automatic mask generator (Ravi et al. 2024) with its published defaults."""

    source: Literal["sam2"] = "sam2"
    model: Literal[
        "sam2.1_hiera_l",
        "sam2.1_hiera_b+",
        "sam2.1_hiera_s",
        "sam2.1_hiera_t",
        "sam2_hiera_l",
        "sam2_hiera_b+",
        "sam2_hiera_s",
        "sam2_hiera_t",
    ] = Field("sam2.1_hiera_l", description="Version and size of the network.")
    checkpoint: RelativeFile = Field("sam2.1_hiera_large.pt", description="Relative to the weights folder.")
    pred_iou_thresh: float = Field(0.8, ge=0, le=1, description="Masks whose predicted quality is lower are dropped.")
    mask_threshold: float = Field(0.0, ge=-1000, le=1000, description="Logits above it are inside a mask.")
    use_m2m: bool = Field(False, description="Refine each mask by a second pass that is given the first one's.")
    multimask_output: bool = Field(True, description="Three masks for a point, or one.")


class TransformersRegions(MaskRegions):
    """SAM, SAM 2 and their relatives in Hugging Face `transformers`, by its pipeline `mask-generation`."""

    source: Literal["transformers"] = "transformers"
    checkpoint: RelativeFile = Field(
        "sam-vit-huge",
        description="Folder of a saved model (config.json, *.safetensors, preprocessor), relative to the weights "
        "folder.",
    )
    mask_threshold: float = Field(0.0, ge=-1000, le=1000, description="Logits above it are inside a mask.")


class SuperpixelRegions(Spec):
    """Superpixels (scikit-image): SLIC (Achanta et al. 2012), or merged segments of Felzenszwalb & Huttenlocher."""

    source: Literal["superpixel"] = "superpixel"
    algorithm: Literal["slic", "merged"] = added_field(
        "slic",
        description="merged: segments of Felzenszwalb & Huttenlocher (2004), of which similar neighbours are merged.",
    )
    segments: int = Field(
        60, ge=1, le=10**6, description="Number of regions per image; of slic approximately, of merged at most."
    )
    compactness: float = Field(
        20.0,
        ge=1e-3,
        le=1e6,
        description="Larger values give squarer regions, smaller values follow colour more closely.",
    )
    sigma: float = Field(1.0, ge=0, le=100, description="Gaussian smoothing before segmentation, pixels.")
    scale: float = added_field(
        50.0, ge=1e-3, le=1e6, description="Of merged: how coarse the segments are that are merged."
    )
    reduction: int = added_field(
        1, ge=1, le=64, description="Of merged: regions are found on an image this much smaller, which is faster."
    )


SemanticParts = Literal["classes", "components"]
"""What is a region of a semantic label: all pixels of a class, or each connected part of them."""


class SemanticRegions(Spec):
    """Regions of each view's semantic label (Table 4), which must not be withheld unless `missing` says what then."""

    source: Literal["semantic"] = "semantic"
    parts: SemanticParts = added_field(
        "classes",
        description="classes: all pixels of a class are a region, as in Table 4; components: each connected part is.",
    )
    missing: Literal["refused", "none"] | SuperpixelRegions = added_field(
        "refused",
        description="Of images whose semantic label is withheld. refused: the label setting must be full; none: they "
        "have no region, and no contrast; superpixels: their regions are these.",
    )


BuiltinSource = SamRegions | Sam2Regions | TransformersRegions | SuperpixelRegions | SemanticRegions

if TYPE_CHECKING:
    RegionSource = Annotated[BuiltinSource, Field(discriminator="source")]
else:
    __getattr__ = union_of("RegionSource", "rdc_sweeps.regions", get_args(BuiltinSource))
