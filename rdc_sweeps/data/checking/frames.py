"""Check of the frame of normals: towards the camera, and the axes of the depth maps' planes."""

from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.checking.contents import Splits
from rdc_sweeps.data.checking.findings import Check, Finding, combine
from rdc_sweeps.data.checking.split import SplitMeasures

FACING = 0.9
"""Share of the normals that must face the camera."""

AGREEMENT = 0.08
"""The least mean product of a component of normals with that of the planes of depth."""

AXES = ("x", "y", "z")


def check_frame(splits: Splits) -> Check:
    """Normals face the camera, and their axes are those of depth: x right, y down, z forward."""
    expected = f"{FACING:.0%} facing the camera; mean products with depth's planes above {AGREEMENT}"
    return combine("frame of normals", expected, {one.name: _frame(one) for one in splits})


def _frame(split: SplitMeasures) -> Finding:
    if split.expectation.focal is None:
        return Finding("skipped", "the camera is not known")
    normals = [one.normal for one in split.scenes if one.normal]
    if not normals:
        return Finding("skipped", "no normals could be read")
    mirrored = split.comparison.mirrored if split.comparison else ()
    # Of maps that are mirrored against each other, x may be negated or not.
    crossed = ("depth" in mirrored) != ("normal" in mirrored)
    facing = float(np.mean([one.facing for one in normals]))
    moments = [one for one in (normal.mirrored if crossed else normal.moments for normal in normals) if one is not None]
    text = f"{facing:.1%} facing"
    if moments:
        mean: NDArray[np.float64] = np.mean(moments, axis=0)
        products = np.abs(mean.diagonal()) if crossed else mean.diagonal()
        text += "; " + ", ".join(f"{axis} {product:+.2f}" for axis, product in zip(AXES, products, strict=True))
        if products.min() < AGREEMENT:
            best = _best(mean)
            if best == AXES:
                return Finding("error", f"{text}: not the normals of these depth maps", "see the order of files")
            is_best = f"({', '.join(best)})"
            return Finding(
                "error", f"{text}; as {is_best} they agree best with depth", f"write {is_best} of each normal"
            )
    if facing < FACING and not crossed:
        return Finding("error", f"{text}: the others point away from the camera", "negate z, or all components")
    return Finding("ok", text)


def _best(mean: NDArray[np.float64]) -> tuple[str, ...]:
    """The components, with signs and in the order that agree best with x, y and z of depth's planes."""
    choices = ((order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3))
    order, signs = max(
        choices,
        key=lambda choice: sum(
            sign * mean[source, axis] for axis, (source, sign) in enumerate(zip(*choice, strict=True))
        ),
    )
    return tuple(f"{'-' if sign < 0 else ''}{AXES[source]}" for source, sign in zip(order, signs, strict=True))
