"""What a region contrast compares, for one training image: its regions and their Gaussians in the space of a_theta."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rdc_sweeps.contrast.moments import region_moments
from rdc_sweeps.data.batches import Batch, whole_images
from rdc_sweeps.data.noise import step_noise
from rdc_sweeps.errors import UsageError
from rdc_sweeps.methods.method import network_outputs
from rdc_sweeps.methods.region_contrast import RegionContrastTerm
from rdc_sweeps.probing.measure import terms_of_method, unchanged
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.colours import Picture, image_colours
from rdc_sweeps.training.setup import Learner, TrainingData, open_data, region_reader


@dataclass(frozen=True)
class RegionGaussians:
    """The regions of one map in the space of a_theta.

    Attributes:
        features: float64 (n, d), the cells of its feature map.
        mean: float64 (R, d).
        covariance: float64 (R, d, d), denominator n - 1, as it is before regularisation.
    """

    features: NDArray[np.float64]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


@dataclass(frozen=True)
class RegionFeatures:
    """An image, and its regions in two maps: the prediction of one task and the label of another.

    Attributes:
        image: uint8 (H, W, 3).
        slots: int64 (h, w) at the stride of the contrast, which region each pixel belongs to; negative: none.
        counts: int64 (R,), pixels of each region in `slots`.
        least: Regions with fewer pixels are not compared.
        predicted_task, labelled_task: The two tasks.
        predicted, labelled: Their Gaussians.
    """

    image: Picture
    slots: NDArray[np.int64]
    counts: NDArray[np.int64]
    least: int
    predicted_task: Task
    labelled_task: Task
    predicted: RegionGaussians
    labelled: RegionGaussians

    @property
    def largest(self) -> list[int]:
        """The regions that are compared, from the largest to the smallest."""
        order = np.argsort(-self.counts, kind="stable")
        return [int(slot) for slot in order if self.counts[slot] >= self.least]


def has_regions(spec: RunSpec) -> bool:
    """Whether a method contrasts regions."""
    from rdc_sweeps.specs.method import RegionContrast, terms_of

    return any(isinstance(term, RegionContrast) for term in terms_of(spec.method).values())


@torch.no_grad()
def region_features(learner: Learner, spec: RunSpec, settings: Settings, image: int) -> RegionFeatures:
    """The regions of a training image as the contrast sees them, without augmentation.

    The network and a_theta see a whole batch, the image and those after it, since both normalise over it in training.

    Args:
        learner: The network and method, at any time of the training.
        spec: Their run.
        settings: Data roots and caches.
        image: Position among the run's training images.

    Raises:
        UsageError: The method contrasts no regions, or there is no such image, or it lacks every label.
        DataError: Data or region maps are missing or damaged.
    """
    terms = [one for one in terms_of_method(learner.method).values() if isinstance(one, RegionContrastTerm)]
    if not terms:
        raise UsageError(f"method.name: {spec.method.name} contrasts no regions")
    data = open_data(spec, settings)
    if not 0 <= image < len(data.splits.train):
        raise UsageError(f"no training image {image}: there are {len(data.splits.train)}, counted from 0")
    batch = _batch(spec, data, settings, image).to(next(learner.parameters()).device)
    with unchanged(learner.network, learner.method):
        learner.train()
        outputs = network_outputs(learner.network, batch, last_view=True, encoder=False, view_norm="apart")
        mapped = terms[0].mapped(outputs.last, batch)
    if mapped is None or not (mapped[0].image == 0).any():
        raise UsageError(f"training image {image} has no label that the contrast could use; choose another")
    pairs, index, *features = mapped
    item = int((pairs.image == 0).nonzero()[0, 0])
    gaussians = []
    for maps in features:
        mean, covariance, _ = region_moments(maps.double(), index)
        gaussians.append(
            RegionGaussians(
                maps[item].double().flatten(1).T.cpu().numpy(), mean[item].cpu().numpy(), covariance[item].cpu().numpy()
            )
        )
    return RegionFeatures(
        image=image_colours(batch.views[0].image[0].cpu().numpy()),
        slots=index.slots[item].cpu().numpy(),
        counts=index.counts[item].cpu().numpy(),
        least=terms[0].spec.min_pixels,
        predicted_task=spec.dataset.tasks[int(pairs.predicted[item])],
        labelled_task=spec.dataset.tasks[int(pairs.labelled[item])],
        predicted=gaussians[0],
        labelled=gaussians[1],
    )


def _batch(spec: RunSpec, data: TrainingData, settings: Settings, image: int) -> Batch:
    train, regions = data.splits.train, region_reader(spec, data, settings)
    indices = (image + np.arange(min(spec.training.batch_size, len(train)))) % len(train)
    return whole_images(train, data.train_mask, indices, regions, step_noise(0, 0, 0, indices.tolist()))
