"""Methods: what is trained in addition to the supervised losses."""

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import Field, SerializerFunctionWrapHandler, create_model, model_serializer, model_validator

from rdc_sweeps.specs.base import Channels, Spec, Weight, added_field
from rdc_sweeps.specs.contrast import ContrastSpec, GaussianContrast, ReleasedContrast
from rdc_sweeps.specs.extensions import extension_specs, union_of
from rdc_sweeps.specs.sources import RegionSource, SamRegions


class Supervised(Spec):
    """Supervised losses on the labels that an image has, and nothing else (MTL)."""

    name: Literal["supervised"] = "supervised"


MappingChannels = Annotated[
    tuple[Channels, ...], Field(min_length=1, description="Channels of its levels; each level ends in a 2x2 max-pool.")
]
MappingPadding = Annotated[
    Literal["reflect", "zeros"],
    Field(
        description="Padding of its convolutions. Zeros, as in the authors' code, mark the border, so that features "
        "tell where in the image a region lies."
    ),
]


class MappingSpec(Spec):
    """The mapping network a_theta."""

    channels: MappingChannels = (16, 24, 32, 32)
    norm: Literal["apart", "single", "pooled"] = Field(
        "apart",
        description="Which maps are normalised together. apart: the predictions of one task, or its labels; single: "
        "each map by itself, as in the authors' code; pooled: predictions and labels of all tasks.",
    )
    padding: MappingPadding = "reflect"
    depth_divisor: float | None = Field(
        None,
        ge=1e-6,
        le=1e6,
        description="Depth, predictions and labels, is divided by this, in the data set's unit; null: each map by its "
        "own maximum, as in the authors' code.",
    )
    depth_scale: Literal["linear", "logarithmic"] = added_field(
        "linear",
        description="logarithmic: log(1 + depth) takes the place of depth, in the data set's unit, and of its divisor.",
    )
    semantic_input: Literal["sampled", "probabilities"] = added_field(
        "sampled",
        description="What a_theta sees of a semantic prediction. sampled: a one-hot drawn by the Gumbel trick with a "
        "straight-through gradient, as in the authors' code; probabilities: the softmax itself.",
    )


class JointSpaceMapping(MappingSpec):
    """The mapping network of Li et al.: a_theta with the channels and the padding of their code."""

    channels: MappingChannels = (64, 128, 256, 512, 512)
    padding: MappingPadding = "zeros"


class PatchExtraction(Spec):
    """Patch-aware contrast: a grid of square windows as regions."""

    name: Literal["patch"] = "patch"
    size: int = Field(8, ge=1, le=8192, description="Side and stride of the windows, in pixels of the region map.")


class RegionExtraction(Spec):
    """Region-aware contrast."""

    name: Literal["region"] = "region"
    regions: RegionSource = SamRegions()


ExtractionSpec = Annotated[PatchExtraction | RegionExtraction, Field(discriminator="name")]


PairReading = Literal["equation", "sum", "mean"]
"""Readings of eq. 3 and 6 for an image with several pairs of tasks."""


class RegionContrast(Spec):
    """Region-aware distribution contrast, and its patch, vector and pixel ablations (eq. 1 to 6)."""

    name: Literal["region_contrast"] = "region_contrast"
    extraction: ExtractionSpec = RegionExtraction()
    contrast: Annotated[ContrastSpec | ReleasedContrast, Field(discriminator="name")] = GaussianContrast()
    mapping: MappingSpec = MappingSpec()
    pairs: PairReading = Field(
        "equation",
        description="How an image's pairs of tasks make up L_RC: eq. 3 and 6 with negatives in all tasks, or the sum "
        "(as in the released code) or the mean of the contrasts of two tasks each.",
    )
    void: Literal["masked", "kept"] = Field(
        "masked",
        description="masked: pixels that are void in a label of the image belong to no region; kept: they count like "
        "others, as in the released code.",
    )
    region_stride: int = Field(
        2, ge=1, description="Regions are read on a map this much smaller than the image (288x384 -> 144x192)."
    )
    region_pixel: Literal["centre", "corner"] = Field(
        "centre",
        description="Which pixel of each `region_stride` x `region_stride` pixels gives them their region: the one "
        "below and right of the centre, or the one in the upper left corner, as in the released code.",
    )
    min_pixels: int = Field(10, ge=2, le=10**8, description="Regions with fewer pixels on the region map are ignored.")
    weight: Weight = Field(1.0, description="Weight of L_RC; eq. 1 has 1.")
    ramp_epochs: float = Field(0.0, ge=0, description="The weight grows linearly from 0 over this many epochs.")
    ramp_by: Literal["step", "epoch"] = Field(
        "step", description="Whether the ramp advances every step or every epoch."
    )
    start_epoch: float = added_field(
        0.0,
        ge=0,
        le=1e6,
        description="Until this epoch L_RC trains a_theta alone, on predictions without gradient; the ramp starts "
        "here.",
    )
    label_features: Literal["trained", "detached"] = added_field(
        "trained", description="detached: the features of labels pass no gradient to a_theta, those of predictions do."
    )
    gradient: bool = Field(True, description="false: L_RC is computed but has no effect, as in the released code.")

    @model_validator(mode="after")
    def _released_contrast_has_no_gradient(self) -> Self:
        if isinstance(self.contrast, ReleasedContrast) and self.gradient:
            raise ValueError("contrast.name released has no gradient; set gradient: false or another contrast")
        return self


class SingleTask(Spec):
    """Supervised losses as in MTL, but with a separate network for each task (STL)."""

    name: Literal["single_task"] = "single_task"


FeatureKind = Literal["resized", "pooled"]
"""How an encoder's maps become one feature."""


class CrossTask(Spec):
    """Cross-task consistency in joint pairwise spaces (Li et al., CVPR 2022)."""

    name: Literal["cross_task"] = "cross_task"
    mapping: JointSpaceMapping = JointSpaceMapping()
    regulariser: Weight = Field(0.5, description="Weight of the distances to the encoder feature.")
    feature: FeatureKind = Field(
        "resized",
        description="How the encoder's maps become a feature of a_theta's width and size. resized: a fixed 3x3 "
        "convolution at the finest scale, then bilinear; pooled: averages over cells, then a fixed 1x1 convolution. "
        "SegNet's feature has that width and size already.",
    )
    weight: Weight = Field(
        2.0, description="Weight of the consistency loss; the authors' code uses 2 on NYU-V2, 1 on Cityscapes."
    )
    ramp_epochs: float = Field(0.0, ge=0, description="The weight grows linearly from 0 over this many epochs.")


class CheckerboardRedaction(Spec):
    """Sets every other block of the image to zero."""

    name: Literal["checkerboard"] = "checkerboard"
    block: int = Field(8, ge=1, description="Side of the blocks, pixels.")


class SpectralRedaction(Spec):
    """Sets a band of the image's cosine transform to zero."""

    name: Literal["spectral"] = "spectral"
    lower: float = Field(0.1, ge=0, lt=1, description="Lowest frequency that is removed; 1 is half a cycle per pixel.")
    upper: float | None = Field(
        None, gt=0, description="Lowest frequency above the band that is kept again; null: none."
    )

    @model_validator(mode="after")
    def _band_has_width(self) -> Self:
        if self.upper is not None and self.upper <= self.lower:
            raise ValueError(f"upper {self.upper} must be larger than lower {self.lower}; null removes all above lower")
        return self


RedactionSpec = Annotated[CheckerboardRedaction | SpectralRedaction, Field(discriminator="name")]


class DejaVu(Spec):
    """Regeneration of the redacted image from the dense predictions (Borse et al., CVPR 2023)."""

    name: Literal["dejavu"] = "dejavu"
    redaction: RedactionSpec = CheckerboardRedaction()
    channels: Channels = Field(32, description="Channels of the regeneration module's hidden layers.")
    cyclic_weight: Weight = Field(
        0.0, description="Weight of cyclic consistency: the network predicts the same of the regenerated image."
    )
    weight: Weight = Field(1.0, description="Weight of the reconstruction loss.")
    ramp_epochs: float = Field(0.0, ge=0, description="The weight grows linearly from 0 over this many epochs.")


class JointTask(Spec):
    """Joint-task regularisation by an autoencoder of all tasks together (Nishi et al., CVPR 2024, "JTR")."""

    name: Literal["joint_task"] = "joint_task"
    width: Channels = Field(64, description="Channels of the first stage of the autoencoder, a SegNet.")
    distance_weight: Weight = Field(
        4.0, description="Weight of the distance between the predictions and the labels completed by predictions."
    )
    reconstruction_weight: Weight = Field(
        2.0, description="Weight of the reconstruction, and of the autoencoder's own part in the distance."
    )
    depth_mean: float = Field(
        2.3618,
        ge=-1e6,
        le=1e6,
        description="Mean of the normal distribution whose distribution function maps depth to [0, 1].",
    )
    depth_deviation: float = Field(
        1.5876, ge=1e-6, le=1e6, description="Its standard deviation, in the data set's unit."
    )
    ramp_epochs: float = Field(0.0, ge=0, description="Both weights grow linearly from 0 over this many epochs.")


class Teacher(Spec):
    """A teacher trained on the available labels, and a student trained on these and the teacher's predictions."""

    name: Literal["teacher"] = "teacher"
    teacher_epochs: int = Field(
        10, ge=1, description="The teacher is trained for this many epochs, the student for the rest of them."
    )
    weight: Weight = Field(1.0, description="Weight of the losses against predicted labels.")


class Combined(Spec):
    """Supervised losses and two or more terms, each with the fields that it has as a method of its own.

    The fields besides `name` are made by `_combined`: one for each term, with the term's name.
    """

    name: Literal["combined"] = "combined"

    @property
    def terms(self) -> dict[str, Spec]:
        """The terms by name."""
        fields = [name for name in type(self).model_fields if name != "name"]
        return {name: term for name in fields if (term := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _has_several_terms(self) -> Self:
        if len(self.terms) < 2:
            known = ", ".join(name for name in type(self).model_fields if name != "name")
            raise ValueError(f"needs at least two of {known}; a single term is a method of its own")
        return self

    @model_serializer(mode="wrap")
    def _without_absent_terms(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Otherwise ids would change whenever another term becomes available.
        return {name: value for name, value in dump(self).items() if value is not None}


def terms_of(method: Spec) -> dict[str, Spec]:
    """The terms of a method by their path in a run: those of a `Combined`, or the method itself."""
    if isinstance(method, Combined):
        return {f"method.{name}": term for name, term in method.terms.items()}
    return {"method": method}


BuiltinTerm = RegionContrast | CrossTask | DejaVu | JointTask

WithoutTerm = Supervised | SingleTask | Teacher
"""Methods without a term."""

BuiltinMethod = WithoutTerm | BuiltinTerm

if TYPE_CHECKING:
    MethodSpec = Annotated[BuiltinMethod | Combined, Field(discriminator="name")]
else:

    @lru_cache
    def _combined() -> type[Combined]:
        """`Combined` with a field for each built-in term and each extension's method."""
        taken = frozenset(spec.model_fields["name"].default for spec in (*get_args(BuiltinMethod), Combined))
        terms = (*get_args(BuiltinTerm), *extension_specs("rdc_sweeps.methods", taken))
        fields = {term.model_fields["name"].default: (term | None, None) for term in terms}
        return create_model("CombinedTerms", __base__=Combined, __module__=__name__, __doc__=Combined.__doc__, **fields)

    def __getattr__(name: str) -> Any:
        if name == "CombinedTerms":  # where pickle looks for the class
            return _combined()
        if name == "MethodSpec":
            return union_of("MethodSpec", "rdc_sweeps.methods", (*get_args(BuiltinMethod), _combined()))(name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
