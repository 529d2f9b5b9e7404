"""Region maps as they are asked for: of runs, of a data set, or of a folder of images."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import torch

from rdc_sweeps.data.image_folder import ImageFolder
from rdc_sweeps.data.scene import Dataset
from rdc_sweeps.errors import UsageError
from rdc_sweeps.regions.build import EVERYTHING, BuildReport, Shard, build_regions
from rdc_sweeps.regions.generator import RegionGenerator
from rdc_sweeps.regions.store import Images, RegionStore
from rdc_sweeps.settings import Settings, dataset_root
from rdc_sweeps.specs.maps import MapsSpec
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.setup import open_generator, stored_regions
from rdc_sweeps.training.splits import open_splits

ReportBuild = Callable[[str, int, int], None]
"""Receives a title, the number of images done, and the number of all images."""


class OpenMaps(NamedTuple):
    """Images, and what computes and stores their maps."""

    images: Images
    generator: RegionGenerator
    store: RegionStore


def maps_of(specs: Iterable[RunSpec]) -> list[MapsSpec]:
    """The stored region maps that runs read, each once."""
    found = ((stored_regions(spec), spec.dataset) for spec in specs)
    return list(dict.fromkeys(MapsSpec(regions=source, dataset=data) for source, data in found if source is not None))


def open_maps(maps: MapsSpec, settings: Settings, device: str) -> OpenMaps:
    """Open the images and the store of maps; weights are checked, but not read.

    Raises:
        DataError: Images are missing.
        WeightsError: A checkpoint is missing or damaged.
        UsageError: Such maps are not computed from images.
    """
    return OpenMaps(open_images(maps, settings), *open_generator(maps.regions, settings, device))


def open_images(maps: MapsSpec, settings: Settings) -> Images:
    """The images of the maps: the training split of a data set, or those in a folder.

    Raises:
        DataError: They are missing.
    """
    if maps.images is not None:
        return ImageFolder(maps.images)
    return open_training_split(maps, settings)


def open_training_split(maps: MapsSpec, settings: Settings) -> Dataset:
    """The training split of the maps' data set, with labels.

    Raises:
        DataError: It is missing.
    """
    assert maps.dataset is not None  # the caller has looked
    return open_splits(maps.dataset, root=dataset_root(maps.dataset.name, settings), cache=settings.cache_root).train


def build_maps(
    wanted: Iterable[MapsSpec], settings: Settings, report: ReportBuild, shard: Shard = EVERYTHING
) -> dict[str, BuildReport]:
    """Compute the maps that the store lacks; returns reports by title.

    Raises:
        UsageError: A GPU is asked for, but there is none.
    """
    on_gpu = settings.device != "cpu" and torch.cuda.is_available()
    if settings.device == "cuda" and not on_gpu:
        raise UsageError("device is cuda, but PyTorch finds no GPU; use another node, or --device cpu")
    reports = {}
    for maps in wanted:
        images, generator, store = open_maps(maps, settings, "cuda" if on_gpu else "cpu")
        reports[maps.title] = build_regions(images, generator, store, partial(report, maps.title), shard)
    return reports
