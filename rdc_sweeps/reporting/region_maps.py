"""What the stored region maps of some images are like: numbers, and tables of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.scene import Floats
from rdc_sweeps.dispatch.region_maps import open_images, open_maps, open_training_split
from rdc_sweeps.errors import DataError
from rdc_sweeps.regions.maps import IdMap
from rdc_sweeps.regions.statistics import Label, MapStatistics, map_statistics
from rdc_sweeps.regions.store import image_key
from rdc_sweeps.reporting.text_tables import TextTable
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.maps import MapsSpec

LABELS: tuple[Task, ...] = ("semantic",)

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class MapsReport:
    """The statistics of all stored maps.

    Attributes:
        title: Of the maps.
        folder: Where they are.
        images: Number of images.
        maps: Of the images that have a map.
        min_pixels: Regions with fewer pixels are small.
        shown: Some images with their maps.
    """

    title: str
    folder: str
    images: int
    maps: Sequence[MapStatistics]
    min_pixels: int
    shown: Sequence[tuple[Floats, IdMap]]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Number of regions of each image."""
        return np.array([one.sizes.size for one in self.maps])

    @cached_property
    def coverage(self) -> NDArray[np.float64]:
        """Share of each image's pixels that belong to a region."""
        return np.array([one.coverage for one in self.maps])

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Pixels of every region of all images."""
        return np.concatenate([one.sizes for one in self.maps])

    @cached_property
    def accuracy(self) -> NDArray[np.float64]:
        """Achievable segmentation accuracy of each image with a label."""
        return np.array([one.agreement.achievable_accuracy for one in self.maps if one.agreement])

    def to_data(self) -> dict[str, Any]:
        """Plain values, for JSON; shares are parts of 1, and None is what nothing was measured of."""
        small = self.sizes < self.min_pixels
        agreements = [one.agreement for one in self.maps if one.agreement]
        recalls = [one.boundary_recall for one in agreements if one.boundary_recall is not None]
        labels = {
            "images": len(agreements),
            "achievable_segmentation_accuracy": _mean(self.accuracy),
            "undersegmentation": _mean([one.undersegmentation for one in agreements]),
            "boundary_recall": _mean(recalls),
        }
        return {
            "title": self.title,
            "folder": self.folder,
            "images": self.images,
            "with_map": len(self.maps),
            "without_regions": int((self.counts == 0).sum()),
            "regions_per_image": _distribution(self.counts),
            "coverage": _distribution(self.coverage),
            "region_pixels": _distribution(self.sizes),
            "small": {
                "below_pixels": self.min_pixels,
                "share_of_regions": _mean(small),
                "share_of_covered_pixels": float(self.sizes[small].sum() / max(1, self.sizes.sum())),
            },
            "labels": labels if agreements else None,
        }


def describe_maps(
    maps: MapsSpec,
    settings: Settings,
    *,
    min_pixels: int,
    show: int = 0,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> MapsReport:
    """Read the stored maps of all images, and compare them with the semantic labels of a data set.

    Args:
        maps: The maps.
        settings: Folders of data and maps.
        min_pixels: Regions with fewer pixels are counted as small.
        show: Number of images, spread over all, to return with their maps.
        progress: Told the number of images that are done.

    Raises:
        DataError: No image has a map, or images or labels are damaged.
    """
    _, _, store = open_maps(maps, settings, "cpu")
    read = _reader(maps, settings)
    total = len(open_images(maps, settings))
    chosen = {place * total // show for place in range(min(show, total))} if show else set()
    found: list[MapStatistics] = []
    shown: list[tuple[Floats, IdMap]] = []
    for index in range(total):
        image, label = read(index)
        regions = store.get(*image_key(image))
        if regions is not None:
            found.append(map_statistics(regions, label))
            if index in chosen:
                shown.append((image, regions))
        progress(f"reading {maps.title}", index + 1, total)
    if not found:
        raise DataError(
            f"{store.folder}: no map of any of the {total} images; compute them with `rdc-sweep regions build`"
        )
    return MapsReport(maps.title, str(store.folder), total, found, min_pixels, shown)


def _reader(maps: MapsSpec, settings: Settings) -> Callable[[int], tuple[Floats, Label | None]]:
    """Reads an image and its semantic label, if the images have labels."""
    if maps.dataset is not None and "semantic" in maps.dataset.tasks:
        split = open_training_split(maps, settings)

        def read_scene(index: int) -> tuple[Floats, Label | None]:
            scene = split.scene(index, LABELS)
            return scene.image, scene.semantic

        return read_scene
    images = open_images(maps, settings)
    return lambda index: (np.asarray(images.image(index), np.float32), None)


def region_tables(report: MapsReport) -> list[TextTable]:
    """The numbers of a report."""
    found = report.to_data()
    rows = [
        ["regions per image", *_row(found["regions_per_image"], "{:.1f}")],
        ["pixels of a region", *_row(found["region_pixels"], "{:.0f}")],
        ["coverage", *_row(found["coverage"], "{:.1%}")],
    ]
    columns = ["", "mean", "least", *(f"{quantile:.0%}" for quantile in QUANTILES), "most"]
    missing = f", {found['images'] - found['with_map']} without a map" * (found["with_map"] < found["images"])
    tables = [TextTable(f"{report.title}: {found['images']} images{missing}", columns, rows)]
    small = found["small"]
    shares = [
        [f"regions below {small['below_pixels']} pixels", f"{small['share_of_regions'] or 0:.1%}"],
        ["their part of all covered pixels", f"{small['share_of_covered_pixels']:.1%}"],
        ["images without any region", str(found["without_regions"])],
    ]
    if labels := found["labels"]:
        shares += [
            ["achievable segmentation accuracy", f"{labels['achievable_segmentation_accuracy']:.1%}"],
            ["undersegmentation", f"{labels['undersegmentation']:.1%}"],
            ["border recall", "-" if labels["boundary_recall"] is None else f"{labels['boundary_recall']:.1%}"],
        ]
    return [*tables, TextTable("", ["", "value"], shares)]


def _mean(values: Sequence[float] | NDArray[Any]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _distribution(values: NDArray[Any]) -> dict[str, Any] | None:
    if not len(values):
        return None
    quantiles = np.quantile(values, QUANTILES).tolist()
    return {
        "mean": float(values.mean()),
        "min": float(values.min()),
        "max": float(values.max()),
        "quantiles": {f"{quantile:g}": value for quantile, value in zip(QUANTILES, quantiles, strict=True)},
    }


def _row(found: dict[str, Any] | None, form: str) -> list[str]:
    if found is None:
        return ["-"] * (3 + len(QUANTILES))
    values = [found["mean"], found["min"], *found["quantiles"].values(), found["max"]]
    return [form.format(value) for value in values]
