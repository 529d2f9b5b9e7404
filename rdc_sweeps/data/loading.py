"""Batches for training and evaluation.

The order of the images depends only on (seed, epoch), an image's augmentation on (seed, epoch, index), and its noise on
(seed, epoch, step, index). None of them depends on the number of workers or processes, or changes after a resume.
"""

from collections.abc import Generator, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.augmentation import augment
from rdc_sweeps.data.batches import Batch, Frames, RegionsOf, collated, granted_scene, whole_images
from rdc_sweeps.data.memory import Memory
from rdc_sweeps.data.noise import step_noise
from rdc_sweeps.data.prefetch import prefetched
from rdc_sweeps.data.scene import Dataset
from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.dataset import ByZoom
from rdc_sweeps.specs.training import TrainingSpec

_ORDER, _AUGMENTATION = 0x0DE2, 0xA06
"""Keys that separate the random streams of order and augmentation."""


class TrainingBatches:
    """Augmented batches of a data set, epoch by epoch."""

    def __init__(
        self,
        dataset: Dataset,
        mask: NDArray[np.bool_],
        regions: RegionsOf | None,
        spec: TrainingSpec,
        *,
        seed: int,
        depth_by_zoom: ByZoom = "divided",
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        """Prepare batches.

        Args:
            dataset: The training images.
            mask: (n, K) which labels each of its n images has.
            regions: Returns the region ids of an image, given its index; None to load no regions.
            spec: Images per step over all processes, what happens to an incomplete last batch, how views are drawn.
            seed: Seed of order, augmentation and noise.
            depth_by_zoom: How the zoom of a crop changes depth.
            workers: Loading processes; 0 to load in a thread.
            rank: Rank of this training process.
            world: Number of training processes that share each batch.

        Raises:
            UsageError: A batch has fewer images than there are processes.
        """
        _same_length(dataset, mask)
        self._dataset, self._mask, self._regions = dataset, mask, regions
        self._augmentation, self._depth_by_zoom, self._seed = spec.augmentation, depth_by_zoom, seed
        self._sizes = spec.batch_sizes(len(dataset))
        check_shares(self._sizes, world)
        self._workers, self._rank, self._world = workers, rank, world
        self._memory = Memory()

    def epoch(self, epoch: int, start_step: int = 0, end_step: int | None = None) -> Generator[Batch, None, None]:
        """The batches of one epoch, from `start_step` to before `end_step`; closing the iterator early is safe."""
        load = partial(self._batch, epoch, self._order(epoch))
        return prefetched(load, range(len(self._sizes))[start_step:end_step], self._workers)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence((_ORDER, self._seed, epoch))))
        return generator.permutation(len(self._dataset))

    def _batch(self, epoch: int, order: NDArray[np.int64], step: int) -> Batch:
        # Only the last batch may have another size.
        together = order[step * self._sizes[0] :][: self._sizes[step]]
        # The processes' shares differ by at most one image.
        first, end = (len(together) * rank // self._world for rank in (self._rank, self._rank + 1))
        indices = together[first:end]
        views = [
            Frames(
                len(indices),
                self._dataset.size,
                self._dataset.tasks,
                self._memory,
                regions=self._regions is not None,
            )
            for _ in range(self._augmentation.views)
        ]
        for number, index in enumerate(indices.tolist()):
            self._write(number, index, epoch, views)
        noise = step_noise(self._seed, epoch, step, indices.tolist())
        return collated(self._mask, indices, views, noise, fraction=len(indices) / len(together))

    def _write(self, number: int, index: int, epoch: int, views: Sequence[Frames]) -> None:
        """Write the views of one image; its scene is gone afterwards, so that the next takes its place in memory."""
        scene = granted_scene(self._dataset, self._mask, index)
        entropy = np.random.SeedSequence((_AUGMENTATION, self._seed, epoch, index))
        augment(
            scene,
            None if self._regions is None else self._regions(index),
            self._augmentation,
            np.random.Generator(np.random.PCG64(entropy)),
            self._depth_by_zoom,
            into=[view.sample(number, scene) for view in views],
            valid=[view.valid(number) for view in views],
        )


class EvaluationBatches:
    """Batches of a whole data set in order, without augmentation; the last may be smaller.

    With several processes, whole batches are assigned round-robin, the first to rank 0.
    """

    def __init__(
        self,
        dataset: Dataset,
        mask: NDArray[np.bool_] | None = None,
        *,
        batch_size: int,
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        only: Sequence[int] | None = None,
    ) -> None:
        """Prepare batches.

        Args:
            dataset: The images to evaluate on.
            mask: (n, K) which labels each of its n images has; None for all.
            batch_size: Images per batch.
            workers: Loading processes; 0 to load in a thread.
            rank: Rank of this process.
            world: Number of processes that share the batches.
            only: Positions of the images to evaluate on, in this order; None for all.
        """
        self._dataset = dataset
        self._images = np.arange(len(dataset)) if only is None else np.array(only, dtype=np.int64)
        self._mask = np.ones((len(dataset), len(dataset.tasks)), dtype=np.bool_) if mask is None else mask
        _same_length(dataset, self._mask)
        self._batch_size, self._workers, self._rank, self._world = batch_size, workers, rank, world
        self._memory = Memory()

    def __len__(self) -> int:
        """Number of batches over all processes."""
        return -(-len(self._images) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return prefetched(self._batch, range(self._rank, len(self), self._world), self._workers)

    def _batch(self, step: int) -> Batch:
        indices = self._images[step * self._batch_size :][: self._batch_size]
        noise = step_noise(0, 0, 0, indices.tolist())
        return whole_images(self._dataset, self._mask, indices, None, noise, self._memory)


def check_shares(sizes: Sequence[int], world: int) -> None:
    """Check that each process gets at least one image of every batch.

    Args:
        sizes: Images of each batch of an epoch.
        world: Number of processes.

    Raises:
        UsageError: A batch has fewer images than there are processes.
    """
    if (images := min(sizes)) < world:
        remedy = "larger batches" if images == sizes[0] else "training.last_batch=dropped"
        raise UsageError(
            f"training.batch_size: {images} images per step (a batch, an epoch's last one, or all training images if "
            f"there are fewer) cannot be shared by {world} processes; use at most {images} GPUs per run, or {remedy}"
        )


def _same_length(dataset: Dataset, mask: NDArray[np.bool_]) -> None:
    if mask.shape != (len(dataset), len(dataset.tasks)):
        raise UsageError(
            f"label mask: shape {mask.shape}, but the data set has {len(dataset)} images and {len(dataset.tasks)} "
            "tasks; index the mask of the whole training split with the images used for training"
        )
