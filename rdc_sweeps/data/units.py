"""Recognition of values in another unit or encoding than the documented one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rdc_sweeps.data.passes import EMPTY, UNIT_LENGTH, total
from rdc_sweeps.data.scene import Floats


@dataclass(frozen=True)
class DepthUnit:
    """A unit of depth.

    Attributes:
        name: What a value is, for messages.
        low, high: Between these the mean over the valid pixels of any scene lies.
        typical: A usual mean, to recognise other units by.
        others: Other units: what a value is then, and how many of them one of this unit is.
    """

    name: str
    low: float
    high: float
    typical: float
    others: Sequence[tuple[str, float]]

    def problem(self, depth: Floats) -> str | None:
        """Why a depth map cannot be in this unit; None if it can.

        Args:
            depth: (H, W), contiguous, finite and not negative; 0 is invalid.
        """
        valid, sum_of_all = total(depth)
        if not valid:
            return None
        mean = sum_of_all / valid
        if self.low <= mean <= self.high:
            return None
        # The unit whose mean would be the most usual one, if it is usual at all.
        name, factor = min(self.others, key=lambda other: abs(np.log(mean / other[1] / self.typical)))
        expected = f"mean depth {mean:.4g}, but {self.name} have one of {self.low:g} to {self.high:g}"
        if not self.low <= mean / factor <= self.high:
            return f"{expected}; write {self.name}"
        change = f"divide by {factor:.6g}" if factor > 1 else f"multiply by {1 / factor:.6g}"
        return f"{expected}; these look like {name}: {change}"


METRES = DepthUnit(
    "metres",
    0.4,
    30,
    2.7,
    (("millimetres", 1000), ("centimetres", 100), ("8-bit values of 10 m", 25.5), ("16-bit values of 10 m", 6553.5),
     ("fractions of 10 m", 0.1)),
)  # fmt: skip
"""Indoor depth: over NYU-V2, the mean of an image is 1.0 to 6.7 m."""

DISPARITY = DepthUnit(
    "16-bit disparities / 65535",
    0.01,
    0.6,
    0.1,
    (("raw 16-bit disparities", 65535), ("disparities in pixels", 65535 / 256)),
)
"""Disparity of Cityscapes, whose raw values are up to 32257: fractions up to 0.49."""

_NORMAL_ENCODINGS = (
    ("(n + 1) / 2", "2 v - 1", 2.0, -1.0),
    ("127.5 (n + 1)", "v / 127.5 - 1", 1 / 127.5, -1.0),
    ("32767.5 (n + 1)", "v / 32767.5 - 1", 1 / 32767.5, -1.0),
    ("127 n", "v / 127", 1 / 127, 0.0),
    ("32767 n", "v / 32767", 1 / 32767, 0.0),
)
"""How unit vectors n are stored as v elsewhere: the encoding, how to undo it, and that as a factor and a summand."""

UNIT_SHARE, DECODED_SHARE = 0.5, 0.8
"""The shares of unit vectors from which on a map has normals, and from which on an encoding is recognised."""


def normal_problem(normal: Floats, square: Floats) -> str | None:
    """Why most of a map of normals are not unit vectors; None if they are.

    Args:
        normal: (H, W, 3); those that are (0, 0, 0) or not finite do not count.
        square: (H, W), their squared lengths.
    """
    # (n + 1) / 2 of a slanted wall can have length 1, but the normals of an image are not all in one octant.
    if float(normal.min()) < 0 and _unit(square) >= UNIT_SHARE * np.count_nonzero(square > EMPTY):
        return None
    counted = np.isfinite(square) & (square > EMPTY)
    values, square = normal[counted], square[counted]
    for encoding, remedy, factor, summand in _NORMAL_ENCODINGS:
        decoded = values * np.float32(factor) + np.float32(summand)
        if values.size and _unit(np.square(decoded).sum(axis=-1)) >= DECODED_SHARE * square.size:
            return f"normals n are stored as v = {encoding}; write n = {remedy}"
    if _unit(square) >= UNIT_SHARE * square.size:
        return None
    length = float(np.sqrt(square).mean())
    return f"most normals have another length than 1 (mean {length:.3g}); write unit vectors"


def _unit(square: Floats) -> int:
    """How many of the vectors with these squared lengths have a length near 1."""
    return int(np.count_nonzero(np.abs(square - 1) <= 2 * UNIT_LENGTH))


DARKEST = 2 / 255
"""An image without any brighter pixel is no photograph."""


def image_problem(low: float, high: float, between: int) -> str | None:
    """Why an image with values from `low` to `high` is none: black, of one value, or thresholded.

    None if it is one. `between` is how many of its values are neither 0 nor 1.
    """
    if high <= DARKEST:
        return (
            f"black: no value above {high * 255:.3g} of 255; fractions were stored as integers, or divided by 255 or "
            "65535 once too often"
        )
    if low == high:
        return f"all values are {high:g}"
    return None if between else "all values are 0 or 1; fractions were rounded"
