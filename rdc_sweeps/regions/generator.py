"""The interface of region generators, the 8-bit images that they get, and the identity of their maps."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.errors import DataError
from rdc_sweeps.regions.maps import IdMap


class RegionGenerator(Protocol):
    """Computes the id map of an image."""

    @property
    def key(self) -> str:
        """Identity of everything that the map depends on except the image; see `generator_key`."""

    def __call__(self, image: NDArray[np.floating[Any]]) -> IdMap:
        """Id map (H, W) of an image (H, W, 3) in [0, 1]; images of the same `image_digest` get the same map."""


def generator_key(settings: Mapping[str, Any]) -> str:
    """Canonical JSON of a generator's settings; `source` among them names the folder of its maps."""
    return json.dumps(dict(settings), sort_keys=True, separators=(",", ":"), allow_nan=False)


def eight_bit(image: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Round an image (H, W, 3) from [0, 1] to 0..255.

    Raises:
        DataError: The array is not a finite floating-point image of that shape.
    """
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape or not np.issubdtype(image.dtype, np.floating):
        raise DataError(
            f"regions need a floating-point image (H, W, 3) in [0, 1], found {image.dtype} of shape {image.shape}"
        )
    if not np.isfinite(image).all():
        raise DataError("regions need a finite image, found NaN or infinity; check the image file")
    pixels: NDArray[np.uint8] = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return pixels


def image_digest(image: NDArray[np.floating[Any]]) -> str:
    """BLAKE2b digest of an image (H, W, 3) in [0, 1], by its size and 8-bit pixels; 32 hex digits."""
    pixels = np.ascontiguousarray(eight_bit(image))
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(pixels.data)
    return digest.hexdigest()
