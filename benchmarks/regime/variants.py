"""The variants: one change each of the row that is probed, or a few that only make sense together."""

from collections.abc import Sequence
from dataclasses import dataclass

ROW = "findings/one-rdc"
"""The row that they are variants of."""

BASE = "as in the row"


@dataclass(frozen=True)
class Variant:
    """A method that differs from the row's.

    Attributes:
        group: What is varied.
        name: How it differs from the row.
        changes: Fields of the method, as `--set` takes them.
        refit: Steps for which a_theta is trained; None for those of the other variants.
        true_regions: Regions are those of all semantic labels, also of withheld ones, as no training may have them.
    """

    group: str
    name: str
    changes: tuple[str, ...] = ()
    refit: int | None = None
    true_regions: bool = False


def _variants(group: str, **changes: Sequence[str]) -> list[Variant]:
    return [Variant(group, name, tuple(f"method.{change}" for change in each)) for name, each in changes.items()]


ZEROS = ("mapping.padding=zeros", "mapping.norm=single", "pairs=sum", "void=kept", "region_pixel=corner")
IMAGES = "contrast.negatives=images"
PARTS = "extraction.regions={source: semantic, parts: components, missing: none}"
MIXED = "extraction.regions={source: semantic, parts: components, missing: {source: superpixel, segments: 40}}"
SOFT = ("mapping.semantic_input=probabilities", "mapping.depth_scale=logarithmic")

VARIANTS: tuple[Variant, ...] = (
    Variant("row", BASE),
    *_variants("released", **{"zeros, as released": ZEROS, "zero padding alone": ZEROS[:1]}),
    *_variants(
        "temperature",
        **{f"tau {tau}": [f"contrast.temperature={tau}"] for tau in ("0.3", "1", "20", "100")},
    ),
    *_variants(
        "contrast",
        **{
            "vector, cosine, tau 0.1": ["contrast.name=vector", "contrast.temperature=0.1"],
            "vector, squared distance": ["contrast.name=vector", "contrast.distance=squared_euclidean"],
            "pixel": ["contrast.name=pixel"],
            "Gaussian, KL as in table 5": [
                "contrast.distance=kl",
                "contrast.direction=a_to_b",
                "contrast.diagonal=true",
                "contrast.temperature=20",
                "contrast.covariance.pooled_ridge=0.1",
            ],
        },
    ),
    *_variants(
        "covariance",
        **{
            "shrinkage 0": ["contrast.covariance.shrinkage=0"],
            "shrinkage 0.5": ["contrast.covariance.shrinkage=0.5"],
            "shrinkage oas": ["contrast.covariance.shrinkage=oas"],
            "pooled ridge 0.1": ["contrast.covariance.pooled_ridge=0.1"],
        },
    ),
    *_variants(
        "a_theta",
        **{
            "width 8": ["mapping.channels=[8, 8]"],
            "width 32": ["mapping.channels=[32, 32]"],
            "one level, stride 2": ["mapping.channels=[16]"],
            "three levels, stride 8": ["mapping.channels=[16, 16, 16]"],
            "four levels, stride 16": ["mapping.channels=[16, 24, 32, 32]"],
            "norm of each map": ["mapping.norm=single"],
            "norm of all maps": ["mapping.norm=pooled"],
        },
    ),
    *_variants(
        "inputs",
        **{
            "probabilities": ["mapping.semantic_input=probabilities"],
            "depth / 10 m": ["mapping.depth_divisor=10"],
            "log depth": ["mapping.depth_scale=logarithmic"],
        },
    ),
    *_variants("gradient", **{"labels detached": ["label_features=detached"]}),
    *_variants(
        "negatives",
        **{
            "of the other task only": ["contrast.negatives=other"],
            **{f"{count} of each anchor": [f"contrast.negative_count={count}"] for count in (2, 8, 32)},
            "other images": [IMAGES],
            "other images, probabilities, log depth": [IMAGES, *SOFT],
            "other images, vector": ["contrast.name=vector", "contrast.temperature=0.1", IMAGES],
            "other images, zero padding": [IMAGES, "mapping.padding=zeros"],
            "other images, also 16 earlier ones": [IMAGES, "contrast.earlier_images=16"],
            "pairs apart": ["pairs=mean"],
        },
    ),
    *_variants(
        "regions",
        **{
            "20 superpixels": ["extraction.regions.segments=20"],
            "100 superpixels": ["extraction.regions.segments=100"],
            "patches of 8": ["extraction={name: patch, size: 8}"],
            "of 40 pixels or more": ["min_pixels=40"],
            "read at full size": ["region_stride=1"],
            "parts of semantic labels, else none": [PARTS],
            "parts of semantic labels, else superpixels": [MIXED],
        },
    ),
    Variant("regions", "parts of all semantic labels, for analysis alone", true_regions=True),
    *(Variant("start", f"a_theta alone for {steps} steps", refit=steps) for steps in (50, 600)),
)
