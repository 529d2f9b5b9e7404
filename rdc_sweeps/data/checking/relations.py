"""Checks of what belongs together: mirrored maps, other orders, exchanged files, images in both splits, copied maps."""

import numpy as np

from rdc_sweeps.data.checking import alignment
from rdc_sweeps.data.checking.alignment import Pair
from rdc_sweeps.data.checking.contents import KINDS, Splits
from rdc_sweeps.data.checking.copies import ALIKE, EDGES_ALIKE, Copy, most_alike, repeated_maps
from rdc_sweeps.data.checking.findings import MOST_PLACES, Check, Finding, Level, combine, some
from rdc_sweeps.data.checking.split import SplitMeasures

TOO_FEW = f"fewer than {alignment.FEWEST} whole scenes"

MISFITS, FEW = 0.04, 3
"""Share and number of the files of a kind that may fit nothing else of their scenes."""

POOR_FIT = 1.5
"""Fit up to which a file fits nothing else of its scene."""


def check_mirrored(splits: Splits) -> Check:
    """Maps that are mirrored left to right: their edges lie where those of the other mirrored maps do."""
    expected = "each kind of maps fits the others better than mirrored, in most scenes"
    return combine("left and right", expected, {one.name: _mirrored(one) for one in splits})


def _mirrored(split: SplitMeasures) -> Finding:
    if (compared := split.comparison) is None:
        return Finding("skipped", TOO_FEW)
    shares = compared.stored.unmirrored_shares()
    pair = min(shares, key=lambda pair: shares[pair])
    if compared.mirrored:
        names = " and ".join(KINDS[kind] for kind in compared.mirrored)
        text = f"{names} mirrored ({_pair(pair)} fit better than mirrored in {shares[pair]:.1%} of the scenes)"
        return Finding("error", text, "mirror them back; mirroring normals also negates their x")
    if not compared.disordered and (single := compared.stored.single_mirrored()):
        places = tuple(split.place(kind, compared.numbers[index]) for _, kind, index in single[:MOST_PLACES])
        text = f"{len(single)} files seem to be mirrored: {some(places)}"
        return Finding("warning", text, "look at them beside their images", places)
    return Finding("ok", f"at least {shares[pair]:.1%} ({_pair(pair)})")


def check_order(splits: Splits) -> Check:
    """Folders in another order than the others: their maps do not fit the scenes."""
    expected = f"each kind of maps fits others of its scenes by {alignment.FITTING} standard deviations, in the mean"
    return combine("order of files", expected, {one.name: _order(one) for one in splits})


def _order(split: SplitMeasures) -> Finding:
    if (compared := split.comparison) is None:
        return Finding("skipped", TOO_FEW)
    numbers, fits = compared.numbers, compared.righted
    means = fits.mean_fits()
    pair = min(means, key=lambda pair: means[pair])
    if compared.disordered:
        known = alignment.order(numbers, fits.total_fit(compared.disordered[0]))
        names = " and ".join(KINDS[kind] for kind in compared.disordered)
        text = f"{names} of other scenes ({_pair(pair)} fit by {means[pair]:.2f})" + (f"; {known}" if known else "")
        return Finding("error", text, "write the folders again, all in the order of the same list of scenes")
    exchanged = {(kind, index) for _, kind, *both in fits.exchanged() for index in both}
    poor = {
        kind: [
            index
            for index in np.flatnonzero(fits.total_fit(kind).diagonal() < POOR_FIT).tolist()
            if (kind, index) not in exchanged
        ]
        for kind in fits.kinds
    }
    kind = max(poor, key=lambda kind: len(poor[kind]))
    text = f"at least {means[pair]:.1f} ({_pair(pair)})"
    if len(poor[kind]) > max(FEW, MISFITS * len(numbers)):
        places = tuple(split.place(kind, numbers[index]) for index in poor[kind][:MOST_PLACES])
        text = f"{len(poor[kind])} {KINDS[kind]} fit nothing else of their scenes: {some(places)}"
        return Finding("warning", text, "look at them beside their images", places)
    return Finding("ok", text)


def check_exchanged(splits: Splits) -> Check:
    """Single files that have changed places: each fits the other's scene better."""
    expected = f"no two files fit better by {alignment.EXCHANGED} standard deviations in each other's place"
    return combine("exchanged files", expected, {one.name: _exchanged(one) for one in splits})


def _exchanged(split: SplitMeasures) -> Finding:
    if (compared := split.comparison) is None:
        return Finding("skipped", TOO_FEW)
    if compared.disordered:
        return Finding("skipped", "until the order of files is right")
    numbers, pairs = compared.numbers, compared.righted.exchanged()
    if not pairs:
        return Finding("ok", "none")
    texts = [
        f"{split.place(kind, numbers[one])} and {numbers[other]}.npy (by {gain:.1f})"
        for gain, kind, one, other in pairs
    ]
    places = tuple(split.place(kind, numbers[index]) for _, kind, *both in pairs for index in both)
    return Finding("error", some(texts), "look at them beside their images, and exchange them", places[:MOST_PLACES])


def check_leaks(splits: Splits) -> Check:
    """Test images among the training images, also if they were compressed or resized again."""
    train, test = splits
    alike = most_alike(train.scenes, test.scenes)
    copies = [copy for copy in alike if copy.same]
    expected = f"no two images whose thumbnails correlate by {ALIKE}, and their edges by {EDGES_ALIKE}"
    name = "test images in training"
    if not copies:
        return Check(name, "ok", f"at most {alike[0].correlation:.2f}" if alike else "no images", expected)
    texts = [
        f"{train.place('image', copy.first)} is {test.place('image', copy.second)} ({copy.correlation:.3f})"
        for copy in copies
    ]
    places = tuple(train.place("image", copy.first) for copy in copies)
    return Check(name, "error", some(texts), expected, "remove or restore these training scenes", places[:MOST_PLACES])


def check_copies(splits: Splits) -> Check:
    """Images and maps that are twice in one split."""
    expected = "each image and map once"
    return combine("copies", expected, {one.name: _copies(one) for one in splits})


def _copies(split: SplitMeasures) -> Finding:
    maps = list(repeated_maps(split.scenes))
    alike = most_alike(split.scenes, split.scenes)
    images = [copy for copy in alike if copy.same]
    if not maps and not images:
        return Finding("ok", f"none; images alike by {alike[0].correlation:.2f} at most" if alike else "none")
    texts = [f"{split.place(kind, first)} and {second}.npy are equal" for kind, first, second in maps]
    texts += [_same_image(split, copy) for copy in images]
    places = tuple(split.place(kind, second) for kind, _, second in maps)
    places += tuple(split.place("image", copy.second) for copy in images)
    level: Level = "error" if maps else "warning"
    return Finding(level, some(texts), "restore the files that were replaced", places[:MOST_PLACES])


def _same_image(split: SplitMeasures, copy: Copy) -> str:
    return f"{split.place('image', copy.first)} and {copy.second}.npy show the same ({copy.correlation:.3f})"


def _pair(pair: Pair) -> str:
    return f"{KINDS[pair[0]]} and {KINDS[pair[1]]}"
