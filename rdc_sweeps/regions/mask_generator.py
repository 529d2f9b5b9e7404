"""Region maps from networks that find masks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from rdc_sweeps.regions.checkpoints import checkpoint_checksum
from rdc_sweeps.regions.generator import eight_bit, generator_key
from rdc_sweeps.regions.maps import IdMap
from rdc_sweeps.regions.masks import Mask, cleaned, overlay
from rdc_sweeps.specs.sources import GridMaskRegions, MaskRegions

BESIDE = {"checkpoint", "points_per_batch"}
"""Settings on which maps do not depend: a file's name, and how many prompts are answered at once."""

AnySpec = TypeVar("AnySpec", bound=MaskRegions)

AnyGridSpec = TypeVar("AnyGridSpec", bound=GridMaskRegions)

FindMasks = Callable[[NDArray[np.uint8]], Iterable[Mask]]
"""Returns the masks of an image (H, W, 3), which may overlap."""


class MaskGenerator(ABC, Generic[AnySpec]):
    """Finds masks by a network that is prompted with points of a grid; `overlay` combines them.

    Args:
        spec: Settings.
        weights: Identifies the weights in `key`; called on the first access, since it reads the whole file.
        load: Creates the network; called when the first map is computed.
    """

    def __init__(self, spec: AnySpec, weights: Callable[[], str], load: Callable[[], Any]) -> None:
        self.spec = spec
        self._weights = weights
        self._load = load

    @classmethod
    def from_checkpoint(cls, spec: AnySpec, weights_root: Path | None, device: str) -> Self:
        """Create the generator from a checkpoint.

        Raises:
            WeightsError: See `check`.
        """
        path = cls.check(spec, weights_root)
        return cls(spec, partial(checkpoint_checksum, *cls.files(path)), partial(cls.load, spec, path, device))

    @staticmethod
    @abstractmethod
    def check(spec: AnySpec, weights_root: Path | None) -> Path:
        """Check that the checkpoint is of the network, without reading the weights, and return its path.

        Raises:
            WeightsError: No weights folder is set, or the checkpoint is missing, damaged, or of another network.
        """

    @staticmethod
    def files(checkpoint: Path) -> Iterable[Path]:
        """The files that masks depend on."""
        return (checkpoint,)

    @staticmethod
    @abstractmethod
    def load(spec: AnySpec, checkpoint: Path, device: str) -> Any:
        """The network, in evaluation mode.

        Raises:
            UsageError: Its package is not installed.
            WeightsError: The checkpoint is unreadable or does not fit it.
        """

    @abstractmethod
    def finder(self, model: Any) -> FindMasks:
        """How this network finds the masks of an image, except for `min_mask_region_area`."""

    @property
    @abstractmethod
    def box_nms(self) -> float:
        """Of masks whose boxes overlap more once small parts are removed, one is kept."""

    @cached_property
    def key(self) -> str:
        """Settings, the weights' checksum, and the overlap rule."""
        settings = self.spec.model_dump(mode="json", exclude=BESIDE)
        return generator_key({**settings, "weights": self._weights(), "overlap": "smallest"})

    @cached_property
    def _find(self) -> FindMasks:
        return self.finder(self._load())

    def __call__(self, image: NDArray[np.floating[Any]]) -> IdMap:
        """Id map (H, W); all `NO_REGION` if no mask is found."""
        pixels = eight_bit(image)
        height, width = pixels.shape[:2]
        with torch.inference_mode():
            found = list(self._find(pixels))
        if self.spec.min_mask_region_area:
            found = cleaned(found, self.spec.min_mask_region_area, height, width, self.box_nms)
        return overlay(found, height, width)


class GridMaskGenerator(MaskGenerator[AnyGridSpec]):
    """A mask generator with the interface of segment-anything's."""

    @property
    def box_nms(self) -> float:
        """The larger one of the thresholds, as in segment-anything."""
        return max(self.spec.box_nms_thresh, self.spec.crop_nms_thresh)

    @staticmethod
    @abstractmethod
    def generator(model: Any, **options: Any) -> Any:
        """The package's generator."""

    def finder(self, model: Any) -> FindMasks:
        """See `MaskGenerator.finder`."""
        generator = self.generator(model, **self._options(), output_mode="uncompressed_rle")
        return lambda pixels: (
            Mask(np.asarray(one["segmentation"]["counts"]), one["predicted_iou"]) for one in generator.generate(pixels)
        )

    def _options(self) -> dict[str, Any]:
        known = type(self.spec).model_fields.keys() - {"source", "model", "checkpoint", "min_mask_region_area"}
        options = {name: getattr(self.spec, name) for name in sorted(known)}
        if options.get("point_grids") is not None:
            options["points_per_side"] = None
            options["point_grids"] = [np.array(grid) for grid in options["point_grids"]]
        return options
