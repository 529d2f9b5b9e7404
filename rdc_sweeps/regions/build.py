"""Computes the id maps of a data set's images: once, resumable, shared by several processes if they run at once."""

import logging
import random
from dataclasses import dataclass

from rdc_sweeps.errors import DataError
from rdc_sweeps.regions.generator import RegionGenerator, image_digest
from rdc_sweeps.regions.store import Images, Progress, RegionStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildReport:
    """What `build_regions` did, in images."""

    built: int = 0
    reused: int = 0
    without_regions: int = 0


def build_regions(
    images: Images, generator: RegionGenerator, store: RegionStore, progress: Progress | None = None
) -> BuildReport:
    """Store the id map of every image that has none; may be killed at any point and called again.

    Damaged maps are computed again, with a warning. Builders of the same maps start at different images and skip what
    another has stored, so that they share the work.

    Args:
        images: Images of a data set.
        generator: Computes the maps.
        store: Store of this generator's maps.
        progress: Called after each image.
    """
    total = len(images)
    start = random.randrange(total) if total else 0
    built = without = 0
    for done in range(total):
        image = images.image((start + done) % total)
        digest = image_digest(image)
        try:
            regions = store.get(digest)
        except DataError:
            logger.warning("%s: damaged region map, computed again", store.path(digest))
            regions = None
        if regions is None:
            regions = generator(image)
            store.put(digest, regions)
            built += 1
        without += not (regions >= 0).any()
        if progress:
            progress(done + 1, total)
    if without:
        logger.warning("%s: %d of %d images have no region at all", store.folder, without, total)
    return BuildReport(built, total - built, without)
