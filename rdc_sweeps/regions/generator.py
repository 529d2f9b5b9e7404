"""What a region generator is, and the conventions of an id map."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

NO_REGION = -1
"""Id of the pixels that belong to no region."""

IdMap = NDArray[np.int32]
"""Region ids (H, W): 0..n-1, or `NO_REGION`."""


class RegionGenerator(Protocol):
    """Computes the id map of an image."""

    @property
    def key(self) -> str:
        """Identity of everything besides the image that the map depends on, see `generator_key`."""

    def __call__(self, image: NDArray[np.floating[Any]]) -> IdMap:
        """Id map (H, W) of an image (H, W, 3) in [0, 1]; every image of the same `image_digest` gets the same map."""


def generator_key(settings: Mapping[str, Any]) -> str:
    """Canonical JSON of a generator's settings."""
    return json.dumps(dict(settings), sort_keys=True, separators=(",", ":"), allow_nan=False)


def contiguous(ids: NDArray[np.integer[Any]]) -> IdMap:
    """Renumber an id map (H, W) to 0..n-1 in the order in which ids first appear, row by row; negative ids are none."""
    values, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    regions = values >= 0
    numbers = np.full(values.shape, NO_REGION, np.int32)
    order = np.argsort(np.where(regions, first, ids.size), kind="stable")[: regions.sum()]
    numbers[order] = np.arange(order.size, dtype=np.int32)
    return numbers[inverse].reshape(ids.shape)
