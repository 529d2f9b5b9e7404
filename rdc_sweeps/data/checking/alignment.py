"""How well the maps of a split fit each other: the scalar products of their edges' signatures, in standard deviations.

Thresholds were measured on NYU-V2 at 96x128 and 48x64, on `rooms` and on `streets`; docs/data.md has their margins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.scene import Floats

Pair = tuple[str, str]

FEWEST, MOST = 12, 3000
"""Scenes; fewer are not compared, and of more so many, spread evenly, since each is compared with each."""

UNMIRRORED, MIRRORED = 0.5, -1.0
"""Mean gains in fit over mirrored maps: from one on two kinds of maps fit as they are, up to the other mirrored."""

FITTING, STRANGE = 1.0, 0.5
"""Mean fits: from one on two kinds of maps belong together, up to the other they are of other scenes."""

EXCHANGED = 5.0
"""Gain in fit from which on two files are taken for exchanged."""

SINGLE_MIRRORED = 5.0
"""Loss of fit against the mirrored map from which on a single file is taken for mirrored."""


@dataclass(frozen=True)
class Alignment:
    """The fit of all maps of a split.

    Attributes:
        kinds: Kinds of maps.
        fits: For each two kinds, (N, N): how well map i of the first kind fits map j of the second one, in standard
            deviations of maps that do not belong together; rows and columns have mean 0.
        mirrored: For each two kinds, (N,): by how much each map fits better than mirrored.
    """

    kinds: tuple[str, ...]
    fits: Mapping[Pair, Floats]
    mirrored: Mapping[Pair, Floats]

    @classmethod
    def of(cls, signatures: Mapping[str, Floats]) -> "Alignment":
        """Compare signatures (N, h, w) of each kind, at least two of each."""
        flat = {kind: one.reshape(len(one), -1) for kind, one in signatures.items()}
        flipped = {kind: one[..., ::-1].reshape(len(one), -1) for kind, one in signatures.items()}
        fits, mirrored = {}, {}
        for first, second in combinations(signatures, 2):
            products = flat[first] @ flat[second].T
            own, other = np.diag(products).copy(), (flat[first] * flipped[second]).sum(axis=1)
            products -= products.mean(axis=0, keepdims=True)
            products -= products.mean(axis=1, keepdims=True)
            count = len(products)
            square = np.square(products).sum(dtype=np.float64) - np.square(np.diag(products)).sum(dtype=np.float64)
            deviation = np.float32(max(np.sqrt(square / (count * (count - 1))), 1e-6))
            products /= deviation
            fits[first, second], mirrored[first, second] = products, (own - other) / deviation
        return cls(tuple(signatures), fits, mirrored)

    def fit(self, kind: str, other: str) -> Floats:
        """How well map i of one kind fits map j of another, (N, N)."""
        return self.fits[kind, other] if (kind, other) in self.fits else self.fits[other, kind].T

    def total_fit(self, kind: str) -> Floats:
        """How well map i of a kind fits the other maps of scene j, (N, N), in standard deviations."""
        others = [other for other in self.kinds if other != kind]
        total = np.sum([self.fit(kind, other) for other in others], axis=0, dtype=np.float32)
        return np.asarray(total / np.float32(np.sqrt(len(others))), np.float32)

    def mean_fits(self) -> dict[Pair, float]:
        """For each two kinds, the mean fit of the maps that belong together."""
        return {pair: float(np.diag(fit).mean()) for pair, fit in self.fits.items()}

    def mean_gains(self) -> dict[Pair, float]:
        """For each two kinds, by how much the maps fit better than mirrored, in the mean."""
        return {pair: float(gain.mean()) for pair, gain in self.mirrored.items()}

    def unmirrored_shares(self) -> dict[Pair, float]:
        """For each two kinds, the share of the scenes whose maps fit better than mirrored."""
        return {pair: float((gain > 0).mean()) for pair, gain in self.mirrored.items()}

    def single_mirrored(self) -> list[tuple[float, str, int]]:
        """Single files that fit the other maps much better mirrored: by how much, kind and position."""
        found: dict[int, tuple[float, str, int]] = {}
        for kind in self.kinds:
            gains = [gain for pair, gain in self.mirrored.items() if kind in pair]
            total = -sum(gains) / np.sqrt(len(gains))
            for index in np.flatnonzero(total > SINGLE_MIRRORED).tolist():
                found[index] = max(found.get(index, (0.0, "", 0)), (float(total[index]), kind, index))
        return sorted(found.values(), reverse=True)

    def exchanged(self) -> list[tuple[float, str, int, int]]:
        """Pairs of files that fit better if they change places: by how much, kind and positions; the best for each."""
        found = []
        for kind in self.kinds:
            total = self.total_fit(kind)
            own = np.diag(total)
            gain = total + total.T - own[:, None] - own[None]
            for one, other in np.argwhere(np.triu(gain > EXCHANGED, 1)).tolist():
                found.append((float(gain[one, other]), kind, one, other))
        found.sort(reverse=True)
        taken: set[int] = set()
        best = []
        for pair in found:
            # The other maps of these scenes seem exchanged too, though less so.
            if taken.isdisjoint(pair[2:]):
                taken.update(pair[2:])
                best.append(pair)
        return best


@dataclass(frozen=True)
class Comparison:
    """The alignment of a split, and the kinds of maps that do not belong to the others.

    Attributes:
        numbers: Numbers of the scenes.
        stored: The alignment of the maps as they are stored.
        mirrored: Kinds of maps that are mirrored left to right.
        righted: The alignment of the maps after these are mirrored back.
        disordered: Kinds of maps that belong to other scenes than their numbers say.
    """

    numbers: tuple[int, ...]
    stored: Alignment
    mirrored: tuple[str, ...]
    righted: Alignment
    disordered: tuple[str, ...]

    @classmethod
    def of(cls, numbers: Sequence[int], signatures: Mapping[str, Floats]) -> "Comparison":
        """Compare signatures (N, h, w) of each kind."""
        stored = righted = Alignment.of(signatures)
        if mirrored := odd_ones(stored.kinds, stored.mean_gains(), UNMIRRORED, MIRRORED):
            righted = Alignment.of(
                {kind: one[..., ::-1] if kind in mirrored else one for kind, one in signatures.items()}
            )
        disordered = odd_ones(righted.kinds, righted.mean_fits(), FITTING, STRANGE)
        return cls(tuple(numbers), stored, mirrored, righted, disordered)


def odd_ones(kinds: Sequence[str], values: Mapping[Pair, float], good: float, bad: float) -> tuple[str, ...]:
    """The kinds of maps that are wrong: the fewest that are in all bad pairs, and in no good one with another kind.

    Noisy maps may fit one kind of maps badly and another one well; then none is wrong.

    Args:
        kinds: The kinds, beginning with the image. Of equally many, those without it are wrong.
        values: How well each two kinds fit.
        good: From here on they fit.
        bad: Up to here they do not.

    Returns:
        The kinds; empty if none is wrong.
    """
    candidates = [*kinds[1:], kinds[0]]
    for count in range(1, len(kinds)):
        for chosen in combinations(candidates, count):
            crossing = {pair for pair in values if (pair[0] in chosen) != (pair[1] in chosen)}
            among = [pair for pair in values if pair not in crossing and pair[0] not in chosen]
            if (
                all(any(values[pair] <= bad for pair in crossing if kind in pair) for kind in chosen)
                and all(values[pair] < good for pair in crossing)
                and all(values[pair] > bad for pair in among)
            ):
                return chosen
    return ()


def order(numbers: Sequence[int], total: Floats) -> str | None:
    """The known order in which maps stand that do not fit their scenes; None if it is another.

    Args:
        numbers: Numbers of the scenes.
        total: (N, N), how well map i fits scene j.
    """
    count = len(numbers)
    positions = np.arange(count)
    by_name = np.argsort([str(number) for number in numbers], kind="stable")
    orders: dict[str, NDArray[np.int64]] = {
        "in the order of their names as texts (0, 1, 10, 100, ...)": by_name,
        "in the order whose inverse sorts their names as texts": np.argsort(by_name),
        "in reverse order": positions[::-1],
        "moved by one (file N belongs to scene N + 1)": np.roll(positions, -1),
        "moved by one (file N belongs to scene N - 1)": np.roll(positions, 1),
    }
    means = {name: float(total[positions, scenes].mean()) for name, scenes in orders.items()}
    best = max(means, key=lambda name: means[name])
    return best if means[best] > FITTING else None
