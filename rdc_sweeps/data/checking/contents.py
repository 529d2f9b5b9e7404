"""Checks of files and values, each by itself: names, arrays, resolutions, units, encodings."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from rdc_sweeps.data.checking.findings import MOST_PLACES, Check, Finding, combine, some
from rdc_sweeps.data.checking.split import SplitMeasures

Splits = Sequence[SplitMeasures]
"""The training and the test split."""

KINDS = {"image": "images", "semantic": "labels", "depth": "depth", "normal": "normals"}
"""What the files of each kind are called."""

UNIT_SHARE = 0.9
"""Share of the normals whose length must be near 1."""


def check_counts(splits: Splits) -> Check:
    """Numbers of images against the published ones."""
    found = tuple(len(split.scenes) for split in splits)
    text = f"{found[0]} training and {found[1]} test images"
    published = splits[0].expectation.counts
    if published is None:
        return Check("counts", "ok", text, "any number")
    expected = f"{published[0]} and {published[1]}, as published"
    if found == published:
        return Check("counts", "ok", text, expected)
    return Check(
        "counts", "warning", text, expected, "numbers do not compare with published ones; restore the missing images"
    )


def check_names(splits: Splits) -> Check:
    """Names of files: complete, and the same in every folder."""
    problems = [problem for split in splits for problem in split.problems]
    expected = "0.npy, 1.npy, ... without gaps, the same in every folder"
    if not problems:
        return Check("names", "ok", "complete", expected)
    return Check("names", "error", "\n".join(problems), expected, "restore or rename these files")


def check_arrays(splits: Splits) -> Check:
    """Files that cannot be read: truncated, with pickled objects, or of another shape."""
    findings = {}
    for split in splits:
        bad = [(split.place(kind, one.index), why) for one in split.scenes for kind, why in one.unreadable.items()]
        read = sum(len(one.sizes) for one in split.scenes)
        findings[split.name] = _finding(bad, f"{read} files read", read + len(bad))
    return combine("arrays", "whole .npy files of numbers, one scene each", findings)


def check_resolutions(splits: Splits) -> Check:
    """Heights and widths: one for the image and the labels of a scene, and for all scenes."""
    findings = {}
    for split in splits:
        sizes = Counter(chain.from_iterable(one.sizes.values() for one in split.scenes))
        (height, width), _ = sizes.most_common(1)[0] if sizes else ((0, 0), 0)
        text = ", ".join(f"{size[0]}x{size[1]}" for size, _ in sizes.most_common(3))
        mixed = [one.index for one in split.scenes if len(set(one.sizes.values())) > 1]
        other = [one.index for one in split.scenes if set(one.sizes.values()) - {(height, width)}]
        places = tuple(split.place("image", index) for index in (mixed or other)[:MOST_PLACES])
        if mixed:
            text = f"{len(mixed)} scenes whose maps have another resolution than their image ({text}): {some(places)}"
            findings[split.name] = Finding("error", text, "write all maps of a scene at one resolution", places)
        elif other:
            text = f"{text}: {some(places)}"
            remedy = "all are resampled when read; if that is not intended, write them at one resolution"
            findings[split.name] = Finding("warning", text, remedy, places)
        else:
            findings[split.name] = Finding("ok", text)
    return combine("resolution", "one for all", findings)


def check_values(splits: Splits, kind: str) -> Check:
    """Values of one kind of map: range, unit, encoding, classes, NaN."""
    findings = {}
    for split in splits:
        bad = [(split.place(kind, one.index), one.invalid[kind]) for one in split.scenes if kind in one.invalid]
        types = sorted({one.types[kind] for one in split.scenes if kind in one.types})
        text = ", ".join((*types, *_summary(split, kind)))
        findings[split.name] = (
            _finding(bad, text, len(split.scenes)) if types else Finding("skipped", "none could be read")
        )
    if kind == "normal" and all(one.level == "ok" for one in findings.values()):
        findings = {split.name: _lengths(split, findings[split.name]) for split in splits}
    layout = splits[0].expectation.layout
    expected = {
        "image": "RGB as floats in [0, 1] or whole numbers up to 255 or 65535",
        "semantic": f"0 to {len(layout.classes) - 1}, -1 for void",
        "depth": f"{layout.depth_unit.name if layout.depth_unit else 'one unit'}, 0 where there is none",
        "normal": "unit vectors, 0 where there is none",
    }
    return combine(KINDS[kind], expected[kind], findings)


def _summary(split: SplitMeasures, kind: str) -> list[str]:
    if kind == "semantic" and (total := split.labels.sum()):
        return [f"{split.labels[1] / total:.1%} void"]
    if kind == "depth" and (depths := [one.depth for one in split.scenes if one.depth]):
        low, high = min((one.low for one in depths if one.low), default=0), max(one.high for one in depths)
        mean = sum(one.mean for one in depths) / len(depths)
        valid = sum(one.valid for one in depths) / len(depths)
        return [f"{low:.3g} to {high:.3g}", f"mean {mean:.3g}", f"{valid:.1%} valid"]
    if kind == "normal" and (normals := [one.normal for one in split.scenes if one.normal]):
        return [f"{sum(one.valid for one in normals) / len(normals):.1%} valid"]
    return []


def _lengths(split: SplitMeasures, finding: Finding) -> Finding:
    """What is found of normals that are unit vectors for the most part."""
    normals = [one.normal for one in split.scenes if one.normal]
    near = sum(one.near for one in normals) / max(1, len(normals))
    text = f"{finding.found}, {near:.1%} of length 1 ± 0.05"
    if near >= UNIT_SHARE:
        return Finding("ok", text)
    return Finding("warning", text, "they are normalised when read; write unit vectors")


def _finding(bad: Sequence[tuple[str, str]], text: str, total: int) -> Finding:
    """An error if there are bad files, told by the problem of the first of them."""
    if not bad:
        return Finding("ok", text)
    (place, why), places = bad[0], tuple(place for place, _ in bad)
    head, _, remedy = why.partition("; ")
    others = f" and {len(bad) - 1} more of {total} files" if len(bad) > 1 else ""
    return Finding("error", f"{place}{others}: {head}", remedy or None, places[:MOST_PLACES])
