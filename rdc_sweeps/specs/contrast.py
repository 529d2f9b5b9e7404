"""Contrasts: how a region is represented, and how two regions are compared."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Union, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from rdc_sweeps.specs.base import Spec, Temperature, Weight, added_field
from rdc_sweeps.specs.extensions import extension_specs

Shrinkage = Annotated[float, Field(ge=0, le=1)] | Literal["oas"]
"""alpha of the covariance's shrinkage, or the closed-form choice of Chen et al. 2010."""

Root = Literal["polar", "svdvals", "eigvalsh"]
"""How the trace of the square root in the Wasserstein distance is computed."""

Direction = Literal["a_to_b", "b_to_a", "symmetric"]
"""Directions of the KL divergence."""

BuiltinDistance = Literal["wasserstein", "kl"]
"""Built-in distances between Gaussians."""


def _distance_type() -> Any:
    """Built-in distances are written as their name, those of extensions as mappings: `{name: ..., ...}`."""
    builtin = get_args(BuiltinDistance)
    added = {
        spec.model_fields["name"].default: spec for spec in extension_specs("rdc_sweeps.distances", frozenset(builtin))
    }
    if not added:
        return BuiltinDistance

    def member(value: Any) -> Any:
        if isinstance(value, str):
            return "builtin" if value in builtin else None
        return value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)

    known = [*map(repr, builtin), *(f"{{name: {name}}}" for name in added)]
    members = [Annotated[spec, Tag(name)] for name, spec in added.items()]
    return Annotated[
        Union[(Annotated[BuiltinDistance, Tag("builtin")], *members)],
        Discriminator(
            member, custom_error_type="unknown_distance", custom_error_message=f"must be {' or '.join(known)}"
        ),
    ]


if TYPE_CHECKING:
    Distance = BuiltinDistance | Spec
else:
    Distance = _distance_type()


class ContrastBase(Spec):
    """Fields of every contrast."""

    temperature: Temperature = Field(description="tau of eq. 4.")


class RegionNegatives(ContrastBase):
    """Fields of the contrasts whose candidates are regions."""

    negatives: Literal["both", "other", "images"] = Field(
        "both",
        description="Negatives from both tasks (eq. 3), or only from the task other than the anchor's. images: the "
        "same place in the other task's maps of other images of the batch, without gradient, so that neither place nor "
        "size tells a region from its negatives.",
    )
    negative_count: int | None = Field(
        None, ge=1, le=10**6, description="Draw this many negatives for each anchor at each step; null for all."
    )
    earlier_images: int = added_field(
        0,
        ge=0,
        le=10**4,
        description="With negatives: images, a bank of the maps of earlier steps: negatives are also the same place in "
        "so many of the latest ones of the same pair of tasks.",
    )

    @model_validator(mode="after")
    def _fit_the_negatives(self) -> Self:
        if self.negatives == "images" and self.negative_count is not None:
            raise ValueError("negative_count draws regions of the image; it cannot be set with negatives: images")
        if self.negatives != "images" and self.earlier_images:
            raise ValueError("earlier_images are more of the other images; they need negatives: images")
        return self


class VectorContrast(RegionNegatives):
    """A region is the mean of its features."""

    name: Literal["vector"] = "vector"
    distance: Literal["cosine", "squared_euclidean"] = Field("cosine", description="Between the means of regions.")
    temperature: Temperature = Field(0.1, description="tau of eq. 4; a cosine distance is at most 2.")


class PixelContrast(ContrastBase):
    """The pixel at the same place is the positive, all pixels of other regions are negatives."""

    name: Literal["pixel"] = "pixel"
    negatives: Literal["both", "other"] = Field(
        "both", description="Negatives from both tasks (eq. 3), or only from the task other than the anchor's."
    )
    distance: Literal["dot", "cosine", "squared_euclidean"] = Field(
        "dot", description="Between pixels; dot is minus the scalar product."
    )
    temperature: Temperature = Field(5.4, description="tau of eq. 4.")
    pixels_per_region: int | None = Field(
        16,
        ge=1,
        le=10**6,
        description="Maximum number of pixels drawn from a region at each step; null for all of them.",
    )


class CovarianceSpec(Spec):
    """Regularisation of a region's covariance."""

    shrinkage: Shrinkage = Field(
        0.1, description="alpha towards (tr Sigma / d) I, or 'oas' for the closed-form choice of Chen et al. 2010."
    )
    ridge: Weight = Field(1e-3, description="Added to the diagonal, relative to tr Sigma / d.")
    pooled_ridge: Weight = Field(
        0.0, description="Added to the diagonal, relative to the mean variance of all regions; KL needs it."
    )


class GaussianContrast(RegionNegatives):
    """A region is the Gaussian of its features (eq. 2)."""

    name: Literal["gaussian"] = "gaussian"
    distance: Distance = Field("wasserstein", description="Squared 2-Wasserstein distance (eq. 5), or KL divergence.")
    temperature: Temperature = Field(5.4, description="tau of eq. 4.")
    covariance: CovarianceSpec = CovarianceSpec()
    root: Root = Field(
        "polar",
        description="How tr (Sigma_a Sigma_b)^(1/2) is computed: by Newton-Schulz iteration or a decomposition.",
    )
    direction: Direction = Field(
        "symmetric", description="Direction of the KL divergence: from anchor to candidate, the reverse, or their sum."
    )
    diagonal: bool = Field(False, description="KL of per-channel variances only.")


ContrastSpec = Annotated[VectorContrast | PixelContrast | GaussianContrast, Field(discriminator="name")]


class ReleasedContrast(Spec):
    """What the released code computes and reports in place of eq. 3: without gradient and without a positive."""

    name: Literal["released"] = "released"
    temperature: Temperature = Field(5.4, description="tau of eq. 4.")
    bank: int = Field(
        1000, ge=2, le=10**6, description="Regions that are remembered; the two oldest are the negatives."
    )
