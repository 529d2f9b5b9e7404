"""Builds the data, network and method of a run from its spec."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rdc_sweeps.data.label_settings import label_mask
from rdc_sweeps.methods.method import Method
from rdc_sweeps.methods.registry import build_method
from rdc_sweeps.methods.supervised import SingleTaskNetworks
from rdc_sweeps.methods.teacher import TeacherAndStudent
from rdc_sweeps.models.registry import build_network
from rdc_sweeps.regions.generator import RegionGenerator
from rdc_sweeps.regions.packed import RegionReader
from rdc_sweeps.regions.sources import region_generator, stored_source
from rdc_sweeps.regions.store import RegionStore
from rdc_sweeps.settings import Settings, dataset_root
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import RegionContrast, RegionExtraction, SingleTask, Teacher, terms_of
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.sources import RegionSource
from rdc_sweeps.training.splits import Splits, open_splits


@dataclass(frozen=True)
class TrainingData:
    """Splits of a data set, and masks of the labels that the label setting provides."""

    splits: Splits
    train_mask: NDArray[np.bool_]
    validation_mask: NDArray[np.bool_]


def open_data(spec: RunSpec, settings: Settings) -> TrainingData:
    """Open the data set and label setting of a run.

    The validation split is held out of the training images, so the setting withholds labels there too.
    """
    splits = open_splits(spec.dataset, root=dataset_root(spec.dataset.name, settings), cache=settings.cache_root)
    mask = label_mask(spec.labels, spec.dataset, splits.training_images, root=settings.label_settings_root)
    return TrainingData(splits, mask[splits.train_indices], mask[splits.validation_indices])


def stored_regions(spec: RunSpec) -> RegionSource | None:
    """The source whose region maps a run reads from the store; None if it reads none."""
    for term in terms_of(spec.method).values():
        if isinstance(term, RegionContrast) and isinstance(term.extraction, RegionExtraction):
            return stored_source(term.extraction.regions)
    return None


def open_generator(source: RegionSource, settings: Settings, device: str) -> tuple[RegionGenerator, RegionStore]:
    """Create the generator of a region source, and open the store of its maps."""
    generator = region_generator(source, weights_root=settings.weights_root, device=device)
    return generator, RegionStore(settings.cache_root / "regions", generator.key)


def region_reader(spec: RunSpec, data: TrainingData, settings: Settings) -> RegionReader | None:
    """Load the region maps of the training split, by the position in it; None if the run needs none."""
    source = stored_regions(spec)
    if source is None:
        return None
    _, store = open_generator(source, settings, "cpu")
    return store.reader(data.splits.train)


def build_learner(spec: RunSpec, settings: Settings) -> "Learner":
    """Build the network and method, initialised from the run's seed."""
    torch.manual_seed(spec.seed)
    tasks, classes = spec.dataset.tasks, len(spec.dataset.classes)

    def network(of: tuple[Task, ...]) -> torch.nn.Module:
        return build_network(spec.backbone, of, classes, weights_root=settings.weights_root)

    networks: torch.nn.Module
    match spec.method:
        case SingleTask():
            networks = SingleTaskNetworks(network, tasks)
        case Teacher():
            networks = TeacherAndStudent(partial(network, tasks))
        case _:
            networks = network(tasks)
    return Learner(networks, build_method(spec.method, tasks, classes, spec.training))


class Learner(torch.nn.Module):
    """A network and the method that trains it, in one module that checkpoints save."""

    def __init__(self, network: torch.nn.Module, method: Method) -> None:
        super().__init__()
        self.network = network
        self.method = method

    def forward(self, *inputs: Any) -> Any:
        """Compute the losses of (batch, epoch); see `Method.forward`."""
        return self.method(self.network, *inputs)

    def parameter_groups(self) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
        """Return the networks' parameters and the mapping's FiLM parameters."""
        film = self.method.film_parameters()
        film_ids = {id(parameter) for parameter in film}
        return [parameter for parameter in self.parameters() if id(parameter) not in film_ids], film
