"""The speed of `rdc-sweep data check`, and the margins of its thresholds.

Of each check, the worst value in a good root stands beside the values that planted faults would have in it. Mirrored,
exchanged and shuffled maps need not be written for that: what is compared has the values of all pairs of maps.
"""

import io
import time
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from rdc_sweeps.data.arrays import Stored, image_of, open_array
from rdc_sweeps.data.checking import alignment, classes, copies, frames
from rdc_sweeps.data.checking.check import SPLITS, checks_of, expectation_of, measure_split
from rdc_sweeps.data.checking.expectations import Expectation
from rdc_sweeps.data.checking.scenes import SceneMeasures, measure_image, measure_scene
from rdc_sweeps.data.checking.split import SplitMeasures
from rdc_sweeps.data.scene import Floats

TIMED, ALTERED = 50, 100
"""Scenes whose measurement is timed, and images that are altered to find them again."""


PARTS, MOST_PARTS = (20, 50, 100), 20
"""Numbers of images of the parts of a good root that are checked, and how many such parts of each split."""


@dataclass(frozen=True)
class Margin:
    """Of a check in a split.

    Attributes:
        check: What is measured.
        threshold: Where a fault begins.
        good: The worst value of a good root.
        planted: What planted faults have.
    """

    check: str
    threshold: float
    good: float
    planted: str


def print_margins(root: Path, dataset: str | None) -> None:
    """Measure a good root, and print the speed of its check and its margins."""
    expectation = expectation_of(root, dataset)
    print(f"{1 / seconds_per_scene(expectation, root / 'train'):.0f} scenes a second of one core")
    train, test = (measure_split(root, name, expectation, 1, None) for name in SPLITS)
    for split in (train, test):
        print(f"\n{split.name}, {len(split.scenes)} scenes")
        for one in margins(split):
            print(f"  {one.check:34} threshold {one.threshold:5.2f}  good {one.good:6.2f}  planted {one.planted}")
    alike = copies.most_alike(train.scenes, test.scenes)[0].correlation
    altered = np.array(altered_correlations(root / "val", test))
    print(f"\nimages of both splits: threshold {copies.ALIKE}, good {alike:.2f}, planted {altered.min():.3f} and more")
    for count in PARTS:
        alarms = false_alarms(train, test, count)
        print(f"{2 * len(alarms)} parts of {count} images: alarms {sorted(chain.from_iterable(alarms)) or 'none'}")


def false_alarms(train: SplitMeasures, test: SplitMeasures, count: int) -> list[list[str]]:
    """Checks that fail in parts of a good root: neighbouring images and random ones, by turns, of both splits."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(min(MOST_PARTS, min(len(train.scenes), len(test.scenes)) // count)):
        parts = []
        for split in (train, test):
            total = len(split.scenes)
            chosen = rng.choice(total, count, replace=False) if number % 2 else number * count + np.arange(count)
            parts.append(
                replace(split, problems=(), scenes=tuple(split.scenes[one] for one in sorted(chosen.tolist())))
            )
        # Numbers of images are those of parts.
        failed = [one for one in checks_of(*parts) if one.level in ("warning", "error") and one.name != "counts"]
        found.append([one.name for one in failed])
    return found


def seconds_per_scene(expectation: Expectation, folder: Path) -> float:
    """Processor time per scene, of files that have been read before."""
    count = len(list((folder / expectation.layout.image).glob("*.npy")))
    scenes = [index % count for index in range(TIMED)]
    for index in scenes:
        measure_scene(expectation, folder, index)
    start = time.process_time()
    for index in scenes:
        measure_scene(expectation, folder, index)
    return (time.process_time() - start) / len(scenes)


def margins(split: SplitMeasures) -> list[Margin]:
    """The margins of the checks of a split."""
    compared = split.comparison
    if compared is None:
        return []
    fits = compared.stored
    found = []
    shares, means = fits.unmirrored_shares(), fits.mean_fits()
    worst = min(shares.values())
    found.append(Margin("mirrored kind, share of scenes", 0.5, worst, f"{1 - worst:.3f} and less"))
    least = min(fits.mean_gains().values())
    found.append(Margin("mirrored kind, mean gain", alignment.MIRRORED, least, f"{-least:.2f} and less"))
    off = ~np.eye(len(compared.numbers), dtype=bool)
    others = max(abs(float(fit[off].mean())) for fit in fits.fits.values())
    found.append(Margin("other order, mean fit", alignment.STRANGE, min(means.values()), f"{others:.2f} shuffled"))
    for kind in fits.kinds:
        total = fits.total_fit(kind)
        own = np.diag(total)
        gain = (total + total.T - own[:, None] - own[None])[off]
        found.append(
            Margin(
                f"exchanged {kind}, gain", alignment.EXCHANGED, float(gain.max()), _found(-gain, alignment.EXCHANGED)
            )
        )
    for kind in fits.kinds:
        parts = [gain for pair, gain in fits.mirrored.items() if kind in pair]
        loss = -np.sum(parts, axis=0) / np.sqrt(len(parts))
        limit = alignment.SINGLE_MIRRORED
        found.append(Margin(f"single mirrored {kind}, gain", limit, float(loss.max()), _found(-loss, limit)))
    return found + _of_classes(split) + _of_frame(split)


def _found(values: Floats, threshold: float) -> str:
    return f"median {np.median(values):.1f}, {float((values > threshold).mean()):.2%} found"


def _of_classes(split: SplitMeasures) -> list[Margin]:
    expectation = split.expectation
    if expectation.lowest is None or expectation.highest is None:
        return []
    names = expectation.layout.classes
    low, high = (classes.FIRST + names.index(name) for name in (expectation.lowest, expectation.highest))
    apart = split.heights[low] - split.heights[high]
    # Where the classes are whose labels are one more or one less.
    planted = max(split.heights[low + by] - split.heights[high + by] for by in (1, -1) if split.labels[high + by])
    found = [Margin("classes apart, share of the height", classes.APART, apart, f"{planted:.2f} and less, off by one")]
    if expectation.shares is not None:
        inside = split.labels[classes.FIRST : -1] / split.labels[classes.FIRST : -1].sum()
        published = np.array(expectation.shares)
        moved = min(
            float(np.abs(published - np.roll(inside, by) * (np.arange(len(inside)) != (0 if by > 0 else -1))).sum()) / 2
            for by in (1, -1)
        )
        distance = float(np.abs(inside - published).sum()) / 2
        found.append(
            Margin("class shares, total variation", classes.UNLIKE_SHARES, distance, f"{moved:.2f} off by one")
        )
    return found


def _of_frame(split: SplitMeasures) -> list[Margin]:
    moments = [one.normal.moments for one in split.scenes if one.normal and one.normal.moments is not None]
    if not moments:
        return []
    least = float(np.mean(moments, axis=0).diagonal().min())
    return [Margin("frame, least mean product", frames.AGREEMENT, least, f"{-least:.2f} with a component negated")]


def altered_correlations(folder: Path, split: SplitMeasures) -> list[float]:
    """Correlation of thumbnails with those of images that were made brighter, resized and compressed."""
    expectation = split.expectation
    some = split.scenes[:: max(1, len(split.scenes) // ALTERED)]
    found = []
    for scene in some:
        stored = open_array(folder / expectation.layout.image / f"{scene.index}.npy")
        height, width = stored.values.shape[:2]
        altered = SceneMeasures(scene.index)
        image = image_of(stored, (height, width))
        measure_image(Stored(stored.path, _altered(image)), expectation.grid, altered)
        best = copies.most_alike(split.scenes, (altered,))[0]
        found.append(best.correlation if best.first == scene.index else -1.0)
    return found


def _altered(image: Floats) -> Floats:
    height, width = image.shape[:2]
    picture = Image.fromarray(np.round(np.clip(image * 1.1, 0, 1) * 255).astype(np.uint8))
    smaller = picture.resize((width * 4 // 5, height * 4 // 5), Image.Resampling.BICUBIC)
    content = io.BytesIO()
    smaller.resize((width, height), Image.Resampling.BICUBIC).save(content, "JPEG", quality=60)
    return (np.asarray(Image.open(content)) / np.float32(255)).astype(np.float32)
