"""Checks of the semantic classes: their shares, and where in the images they lie."""

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.checking.contents import Splits
from rdc_sweeps.data.checking.findings import Check, Finding, Level, combine
from rdc_sweeps.data.checking.split import SplitMeasures

OTHER_SHARES, UNLIKE_SHARES = 0.15, 0.4
"""Total variation from the published shares: a warning, and an error; of 20 images of NYU-V2 it is up to 0.36."""

OTHER_VOID = 0.1
"""Difference from the published share of void pixels that is a warning."""

FEWEST_PIXELS = 500
"""Of a class at the grid's size; the place of a smaller one is chance."""

APART, OFF_APART = 0.4, 0.55
"""Share of the height by which the lowest and the highest class lie apart, and do so if labels are off by one."""

BEYOND = 0.08
"""Share of the height by which another class may lie lower than the lowest, or higher than the highest."""

FIRST = 2
"""Position of the first class among the counts of labels."""


def check_shares(splits: Splits) -> Check:
    """Shares of the classes and of void pixels against the published ones."""
    expectation = splits[0].expectation
    name = "class shares"
    if expectation.shares is None or expectation.void is None:
        return Check(name, "skipped", f"none are published for {expectation.name}", "nothing")
    published, void = np.array(expectation.shares), expectation.void
    whole = tuple(len(split.scenes) for split in splits) == expectation.counts
    expected = f"as published, void {void:.3f}; a total variation below {OTHER_SHARES}, {UNLIKE_SHARES} of some images"
    return combine(name, expected, {one.name: _shares(one, published, void, whole=whole) for one in splits})


def _shares(split: SplitMeasures, published: NDArray[np.float64], void: float, *, whole: bool) -> Finding:
    inside = split.labels[2:-1]
    if not inside.sum():
        return Finding("skipped", "no labels")
    shares = inside / inside.sum()
    distance = float(np.abs(shares - published).sum()) / 2
    void_share = float(split.labels[1] / split.labels.sum())
    text = f"total variation {distance:.3f}, void {void_share:.3f}"
    # A few images of a data set are mostly of a few rooms or cities.
    if distance >= (OTHER_SHARES if whole else UNLIKE_SHARES):
        classes = split.expectation.layout.classes
        most = np.argsort(-np.abs(shares - published))[:3].tolist()
        told = ", ".join(f"{classes[index]} {shares[index]:.3f} instead of {published[index]:.3f}" for index in most)
        level: Level = "error" if distance >= UNLIKE_SHARES else "warning"
        return Finding(level, f"{text} ({told})", f"write the classes in the documented order: {', '.join(classes)}")
    if whole and abs(void_share - void) >= OTHER_VOID:
        return Finding("warning", text, "write -1 where there is no label; 0 is the first class")
    return Finding("ok", text)


def check_places(splits: Splits) -> Check:
    """Where the classes lie: the floor lowest, the ceiling highest; otherwise labels are off by one or reordered."""
    expectation = splits[0].expectation
    if expectation.lowest is None or expectation.highest is None or "semantic" not in expectation.folders:
        return Check("class places", "skipped", f"not known of {expectation.name}", "nothing")
    expected = f"{expectation.lowest} lowest, {expectation.highest} highest"
    return combine(
        "class places", expected, {one.name: _places(one, expectation.lowest, expectation.highest) for one in splits}
    )


def _places(split: SplitMeasures, lowest_class: str, highest_class: str) -> Finding:
    classes = split.expectation.layout.classes
    counts, heights = split.labels, split.heights
    # Void and labels above the last class too: there are classes whose labels are off by one.
    lowest, highest = (FIRST + classes.index(name) for name in (lowest_class, highest_class))
    offsets = [
        offset for offset in (0, 1, -1) if min(counts[lowest + offset], counts[highest + offset]) >= FEWEST_PIXELS
    ]
    apart = {offset: heights[lowest + offset] - heights[highest + offset] for offset in offsets}
    best = max(offsets, key=lambda offset: apart[offset], default=0)
    if best and apart[best] >= OFF_APART:
        text = (
            f"labels are off by {best:+d}: {lowest - FIRST + best} lies at {heights[lowest + best]:.2f} of the height, "
            f"{highest - FIRST + best} at {heights[highest + best]:.2f}"
        )
        return Finding("error", text, f"{'subtract 1 from' if best > 0 else 'add 1 to'} all labels; void is -1")
    if 0 not in apart:
        return Finding("skipped", f"too few pixels of {lowest_class} or {highest_class}")
    text = f"{lowest_class} at {heights[lowest]:.2f} of the height, {highest_class} at {heights[highest]:.2f}"
    normals = [one.normal.upright for one in split.scenes if one.normal]
    total, pixels = np.sum(normals, axis=0) if normals else (0.0, 0)
    if pixels:
        text += f"; mean y of the normals of {lowest_class} {total / pixels:.2f}"
    inner = np.flatnonzero(counts[FIRST:-1] >= FEWEST_PIXELS) + FIRST
    beyond = [
        f"{classes[index - FIRST]} at {heights[index]:.2f}"
        for index in inner.tolist()
        if heights[index] > heights[lowest] + BEYOND or heights[index] < heights[highest] - BEYOND
    ]
    if beyond or apart[0] < APART:
        remedy = f"write the classes in the documented order: {', '.join(classes)}"
        return Finding("error", f"{text}, but {', '.join(beyond)}" if beyond else text, remedy)
    return Finding("ok", text)
