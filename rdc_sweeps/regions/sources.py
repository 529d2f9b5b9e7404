"""Maps the spec of a region source to its generator, for sources whose maps are computed once and stored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rdc_sweeps.errors import UsageError
from rdc_sweeps.regions.generator import RegionGenerator
from rdc_sweeps.regions.sam import SamGenerator
from rdc_sweeps.regions.sam2 import Sam2Generator
from rdc_sweeps.regions.superpixels import SuperpixelGenerator
from rdc_sweeps.regions.transformers_masks import TransformersGenerator
from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.extensions import implementation
from rdc_sweeps.specs.sources import (
    RegionSource,
    Sam2Regions,
    SamRegions,
    SemanticRegions,
    SuperpixelRegions,
    TransformersRegions,
)

GENERATORS: dict[type[Spec], Callable[[Any, Path | None, str], RegionGenerator]] = {
    SamRegions: SamGenerator.from_checkpoint,
    Sam2Regions: Sam2Generator.from_checkpoint,
    TransformersRegions: TransformersGenerator.from_checkpoint,
    SuperpixelRegions: lambda spec, weights_root, device: SuperpixelGenerator(spec),
}
"""Factories: (spec, weights folder, device) -> generator."""


def stored_source(spec: RegionSource) -> RegionSource | None:
    """The source of the maps that come from a `RegionStore`; None if all are made of each view's labels."""
    if not isinstance(spec, SemanticRegions):
        return spec
    return spec.missing if isinstance(spec.missing, SuperpixelRegions) else None


def region_generator(spec: RegionSource, *, weights_root: Path | None, device: str) -> RegionGenerator:
    """Create the generator of a stored region source; checks its weight file, if any, without reading the weights.

    Raises:
        UsageError: The maps of this source are not computed from images, or an extension cannot be loaded.
        WeightsError: Its checkpoint is missing, damaged, or has another architecture.
    """
    if isinstance(spec, SemanticRegions):
        raise UsageError(f"regions {spec.source!r} are not computed from images, but from each view's labels")
    return implementation("rdc_sweeps.regions", spec, GENERATORS)(spec, weights_root, device)
