"""Computes the id maps of a data set's images; resumable, and several processes can share the work."""

import logging
import random
from dataclasses import dataclass

from rdc_sweeps.errors import DataError
from rdc_sweeps.regions.generator import RegionGenerator, image_digest
from rdc_sweeps.regions.store import Images, Progress, RegionStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildReport:
    """Numbers of images that `build_regions` handled."""

    built: int = 0
    reused: int = 0
    without_regions: int = 0


def build_regions(
    images: Images, generator: RegionGenerator, store: RegionStore, progress: Progress | None = None
) -> BuildReport:
    """Compute and store the id map of every image that has none; safe to kill at any point and call again.

    Damaged maps are recomputed, with a warning. Processes that build the same maps start at different images and skip
    what another has stored, so that they share the work.

    Args:
        images: Images of a data set.
        generator: Computes the maps.
        store: Store of this generator's maps.
        progress: Called after each image with the number of finished images and their total.

    Raises:
        DataError: The store cannot be written to, or the generator returns no map of its image.
    """
    total = len(images)
    start = random.randrange(total) if total else 0
    built = without = 0
    for done in range(total):
        image = images.image((start + done) % total)
        digest = image_digest(image)
        try:
            regions = store.get(digest, image.shape[:2])
        except DataError:
            logger.warning("%s: damaged region map, recomputing it", store.path(digest))
            regions = None
        if regions is None:
            regions = generator(image)
            if regions.shape != image.shape[:2]:
                raise DataError(
                    f"the region generator returned a map of shape {regions.shape} for an image of shape "
                    f"{image.shape[:2]}; its __call__ must return (H, W)"
                )
            store.put(digest, regions)
            built += 1
        without += not (regions >= 0).any()
        if progress:
            progress(done + 1, total)
    if without:
        logger.warning("%s: %d of %d images have no regions", store.folder, without, total)
    return BuildReport(built, total - built, without)
