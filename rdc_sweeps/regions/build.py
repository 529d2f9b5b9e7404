"""Computes the id maps of a data set's images; resumable, and several processes can share the work."""

import logging
import random
from dataclasses import dataclass

from rdc_sweeps.data.stamps import image_stamps
from rdc_sweeps.errors import DataError
from rdc_sweeps.regions.generator import RegionGenerator
from rdc_sweeps.regions.store import ImageKey, Images, Progress, RegionStore, image_key

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shard:
    """A part of the images: every `of`-th one, beginning with image `index`. All shards together are all images."""

    index: int = 0
    of: int = 1

    def images(self, total: int) -> range:
        """The indices of its images among `total`."""
        return range(self.index, total, self.of)


EVERYTHING = Shard()


@dataclass(frozen=True)
class BuildReport:
    """Numbers of images that `build_regions` handled."""

    built: int = 0
    reused: int = 0
    without_regions: int = 0


def build_regions(
    images: Images,
    generator: RegionGenerator,
    store: RegionStore,
    progress: Progress | None = None,
    shard: Shard = EVERYTHING,
) -> BuildReport:
    """Compute and store the id map of every image that has none; safe to kill at any point and call again.

    Damaged maps are recomputed, with a warning. Processes that build the same maps start at different images and skip
    what another has stored, so that they share the work; those with different shards never compute the same image. If
    neither images nor maps have changed since all were last read, none is read.

    Args:
        images: Images of a data set.
        generator: Computes the maps.
        store: Store of this generator's maps.
        progress: Called after each image with the number of finished images and their total.
        shard: Which images.

    Raises:
        DataError: The store cannot be written to, or the generator returns no map of its image.
    """
    chosen = shard.images(len(images))
    total = len(chosen)
    stamped = image_stamps(images, chosen) if shard == EVERYTHING else None
    if (known := store.known(stamped)) is not None:
        if progress:
            progress(total, total)
        return _report(store, total, 0, known.without_regions)
    start = random.randrange(total) if total else 0
    built = without = 0
    keys: dict[int, ImageKey] = {}
    for done in range(total):
        index = chosen[(start + done) % total]
        image = images.image(index)
        keys[index] = key = image_key(image)
        try:
            regions = store.get(*key)
        except DataError:
            logger.warning("%s: damaged region map, recomputing it", store.path(key.digest))
            regions = None
        if regions is None:
            regions = generator(image)
            if regions.shape != key.shape:
                raise DataError(
                    f"the region generator returned a map of shape {regions.shape} for an image of shape "
                    f"{key.shape}; its __call__ must return (H, W)"
                )
            store.put(key.digest, regions)
            built += 1
        without += not (regions >= 0).any()
        if progress:
            progress(done + 1, total)
    if stamped is not None and stamped.settled:
        store.read([keys[index] for index in range(total)], stamped)
    return _report(store, total, built, without)


def _report(store: RegionStore, total: int, built: int, without: int) -> BuildReport:
    if without:
        logger.warning("%s: %d of %d images have no regions", store.folder, without, total)
    return BuildReport(built, total - built, without)
