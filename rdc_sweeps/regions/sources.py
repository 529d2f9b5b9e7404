"""Region sources whose maps are computed once and stored, by their spec."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rdc_sweeps.errors import UsageError
from rdc_sweeps.regions.generator import RegionGenerator
from rdc_sweeps.regions.sam import SamGenerator
from rdc_sweeps.regions.superpixels import SuperpixelGenerator
from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.extraction import RegionSource, SamRegions, SuperpixelRegions

GENERATORS: dict[type[Spec], Callable[[Any, Path | None, str], RegionGenerator]] = {
    SamRegions: SamGenerator.from_checkpoint,
    SuperpixelRegions: lambda spec, _weights_root, _device: SuperpixelGenerator(spec),
}
"""Spec type -> its generator, made from the spec, the weights folder and a device."""


def is_stored(spec: RegionSource) -> bool:
    """Whether the maps of this source come from a `RegionStore`, rather than from each view's labels."""
    return type(spec) in GENERATORS


def region_generator(spec: RegionSource, *, weights_root: Path | None, device: str) -> RegionGenerator:
    """The generator of a stored region source; cheap, it reads no weights yet but looks at their file.

    Raises:
        UsageError: The source is not computed from images.
        WeightsError: Its checkpoint is missing, damaged or of another architecture.
    """
    if not is_stored(spec):
        raise UsageError(
            f"regions {spec.source!r} are not computed from images; "
            f"those that are: {', '.join(source.model_fields['source'].default for source in GENERATORS)}"
        )
    return GENERATORS[type(spec)](spec, weights_root, device)
