"""Merges neighbouring regions of similar colour until few enough are left."""

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.regions.maps import IdMap


def merge_neighbours(ids: IdMap, features: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
    """Merge the two most similar neighbours again and again.

    Most similar are those with the least ``a b / (a + b) * |m - n|``, where a and b are the numbers of pixels of two
    regions, m and n their mean features. The squared distance would be Ward's criterion (1963); the plain one leaves
    fewer tiny regions.

    Args:
        ids: (H, W), 0..n-1, each with a pixel.
        features: (H, W, d).
        count: Number of regions to leave.

    Returns:
        Ids (H, W) of the merged regions, not contiguous.
    """
    places = ids.ravel()
    sizes = np.bincount(places).astype(np.float64)
    sums = [np.bincount(places, channel) for channel in features.reshape(places.size, -1).T]
    merger = _Merger(np.stack(sums, axis=1) / sizes[:, None], sizes, _adjacent(ids))
    merger.merge(count)
    return merger.roots()[ids]


def _adjacent(ids: IdMap) -> list[tuple[int, int]]:
    """Pairs of regions with pixels beside or below each other."""
    first = np.concatenate([ids[:, :-1].ravel(), ids[:-1].ravel()]).astype(np.int64)
    second = np.concatenate([ids[:, 1:].ravel(), ids[1:].ravel()]).astype(np.int64)
    number = int(ids.max()) + 1
    pairs = np.unique(np.minimum(first, second) * number + np.maximum(first, second))
    low, high = pairs // number, pairs % number
    border = low != high
    return list(zip(low[border].tolist(), high[border].tolist(), strict=True))


class _Merger:
    """Regions and their neighbours; a merged region gets a new number."""

    def __init__(self, means: NDArray[np.float64], sizes: NDArray[np.float64], pairs: list[tuple[int, int]]) -> None:
        self.means, self.sizes = list(means), sizes.tolist()
        self.parents = list(range(len(self.sizes)))
        self.neighbours: list[set[int]] = [set() for _ in self.sizes]
        for one, other in pairs:
            self.neighbours[one].add(other)
            self.neighbours[other].add(one)
        self.queue = [(self._cost(*pair), *pair) for pair in pairs]
        heapq.heapify(self.queue)

    def merge(self, count: int) -> None:
        """Merge until `count` regions are left."""
        left = len(self.sizes)
        while left > count and self.queue:
            _, one, other = heapq.heappop(self.queue)
            # Costs of regions that are merged already stay in the queue.
            if self.parents[one] == one and self.parents[other] == other:
                self._join(one, other)
                left -= 1

    def roots(self) -> NDArray[np.int64]:
        """The number of the merged region of each region."""
        roots = np.array(self.parents)
        # A merged region has a larger number than its parts.
        for number in range(len(roots) - 1, -1, -1):
            roots[number] = roots[roots[number]]
        return roots

    def _cost(self, one: int, other: int) -> float:
        distance = self.means[one] - self.means[other]
        a, b = self.sizes[one], self.sizes[other]
        return float(a * b / (a + b) * np.sqrt(distance @ distance))

    def _join(self, one: int, other: int) -> None:
        new, size = len(self.sizes), self.sizes[one] + self.sizes[other]
        self.means.append((self.means[one] * self.sizes[one] + self.means[other] * self.sizes[other]) / size)
        self.sizes.append(size)
        self.parents.append(new)
        self.parents[one] = self.parents[other] = new
        around = (self.neighbours[one] | self.neighbours[other]) - {one, other}
        self.neighbours.append(around)
        for region in around:
            self.neighbours[region] -= {one, other}
            self.neighbours[region].add(new)
            heapq.heappush(self.queue, (self._cost(new, region), new, region))
