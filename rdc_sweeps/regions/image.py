"""Images as the generators see them: eight bits a channel, and known by their content."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.errors import DataError


def eight_bit(image: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Round an image (H, W, 3) from [0, 1] to 0..255.

    Raises:
        DataError: It is not a finite floating-point image of that shape.
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
    """Content of an image (H, W, 3) in [0, 1] as 32 hex digits: BLAKE2b of its size and its 8-bit pixels."""
    pixels = np.ascontiguousarray(eight_bit(image))
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(pixels.data)
    return digest.hexdigest()
