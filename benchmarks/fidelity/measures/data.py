"""Crops against those of the authors' code, and label settings against those that Li et al. published."""

from typing import Literal

import numpy as np

from benchmarks.fidelity.component import Component, Differences, largest
from benchmarks.fidelity.examples import channels_first, drawn_windows
from benchmarks.fidelity.inputs import CLASSES, SIZE
from benchmarks.fidelity.references.crops import scale_crop
from rdc_sweeps.data.augmentation import augment
from rdc_sweeps.data.label_settings import label_mask
from rdc_sweeps.data.scene import Scene
from rdc_sweeps.specs.dataset import CityscapesSpec, LabelSpec, NyuV2Spec
from rdc_sweeps.specs.training import AugmentationSpec

IMAGES = {"nyuv2": 795, "cityscapes": 2975}

PUBLISHED_RANDOM = {"labels per task": (392, 408, 385), "images with 1, 2 labels": (405, 390)}
"""Counts in the published file of NYU-V2's random labels."""


def one_label() -> Differences:
    """Labels per task: 265 of each for NYU-V2, 1487 and 1488 for Cityscapes, and one in each image."""
    setting, apart = LabelSpec(setting="onelabel"), 0
    for spec, published in ((NyuV2Spec(), [265, 265, 265]), (CityscapesSpec(), [1487, 1488])):
        mask = label_mask(setting, spec, IMAGES[spec.name], root=None)
        apart = max(apart, *(abs(one - other) for one, other in zip(sorted(mask.sum(0)), published, strict=True)))
        apart = max(apart, int(abs(mask.sum(1) - 1).max()))
    return Differences(float(apart))


def random_labels() -> Differences:
    """The largest difference of a share of NYU-V2's images, mean of 20 generated settings against the published one."""
    found: list[list[float]] = []
    for seed in range(20):
        mask = label_mask(LabelSpec(setting="randomlabels", seed=seed), NyuV2Spec(), IMAGES["nyuv2"], root=None)
        per_image = mask.sum(1)
        found.append([*mask.mean(0), *((per_image == number).mean() for number in (1, 2))])
    published = np.concatenate([np.asarray(counts) for counts in PUBLISHED_RANDOM.values()]) / IMAGES["nyuv2"]
    return Differences(float(abs(np.mean(found, axis=0) - published).max()))


def crop() -> Differences:
    """Both views of eight scenes; of labels and regions the share of pixels that differ."""
    return Differences(_crops_apart("released"), _crops_apart("exact"))


def _crops_apart(kind: Literal["exact", "released"]) -> float:
    """The released windows' views against ours, drawn from the same numbers."""
    apart, spec = 0.0, AugmentationSpec(crop=kind)
    for seed in range(8):
        noise = np.random.default_rng(seed)
        scene = Scene(
            image=noise.random((*SIZE, 3), dtype=np.float32),
            semantic=noise.integers(-1, CLASSES, SIZE).astype(np.int16),
            depth=noise.random(SIZE, dtype=np.float32),
            normal=noise.standard_normal((*SIZE, 3), dtype=np.float32),
        )
        regions = noise.integers(0, 50, SIZE).astype(np.int32)
        maps = channels_first(scene, regions)
        views = augment(scene, regions, spec, np.random.default_rng(seed))
        for (view, ids), window in zip(views, drawn_windows(spec, seed, SIZE), strict=True):
            maps = {name: scale_crop(name, one, window) for name, one in maps.items()}
            for name, found in channels_first(view, ids).items():
                ids_apart = float((found != maps[name]).double().mean())
                apart = max(apart, ids_apart if name in ("semantic", "regions") else largest(found, maps[name]))
    return apart


def zoomed_disparity() -> Differences:
    """Disparity in a crop zoomed by 1.5."""
    apart = []
    for by_zoom in ("divided", "multiplied"):
        disparity = CityscapesSpec.model_validate({"disparity_by_zoom": by_zoom})
        scene = Scene(image=np.zeros((*SIZE, 3), np.float32), depth=np.full(SIZE, 0.1, np.float32))
        spec = AugmentationSpec(scales=(1.5,), views=1)
        ((view, _),) = augment(scene, None, spec, np.random.default_rng(0), disparity.depth_by_zoom)
        assert view.depth is not None
        apart.append(float(abs(view.depth / (0.1 / 1.5) - 1).max()))
    return Differences(*apart)


COMPONENTS = [
    Component(
        "random scale crop, in float32",
        "released code and that of Li et al., after MTAN",
        crop,
        {"training.augmentation.crop": "released"},
        bound=1e-5,
    ),
    Component(
        "depth in a crop, relative, in float32",
        "released code: divided by the zoom, disparity too",
        zoomed_disparity,
        {"dataset.disparity_by_zoom": "divided"},
        bound=1e-6,
    ),
    Component(
        "one label: numbers of labels per task and per image",
        "published files of Li et al.",
        one_label,
        {"labels.origin": "published"},
        "reads the files; the line is about `generated`",
        bound=0.0,
    ),
    Component(
        "random labels: shares of the images",
        "published file of Li et al., one random draw",
        random_labels,
        {"labels.origin": "published"},
        "reads the file; the line is about `generated`",
        bound=0.03,
    ),
]
