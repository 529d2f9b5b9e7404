"""Probes of a run: the images, and a learner at a checkpoint, whose term may be another one or trained afresh."""

from collections.abc import Iterator, Mapping
from itertools import count, islice
from typing import Any

import torch
from torch import nn

from rdc_sweeps.data.batches import Batch, RegionsOf
from rdc_sweeps.data.loading import TrainingBatches
from rdc_sweeps.errors import UsageError
from rdc_sweeps.methods.method import fixed_running_statistics, network_outputs
from rdc_sweeps.probing.gradients import AFTER_RAMPS
from rdc_sweeps.probing.inputs import ProbeBatch
from rdc_sweeps.probing.measure import probe, terms_of_method
from rdc_sweeps.probing.record import Probe
from rdc_sweeps.regions.maps import IdMap, connected_parts
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.contrast import ReleasedContrast
from rdc_sweeps.specs.method import Combined, MethodSpec, RegionContrast, terms_of
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.optimizer import build_optimizer
from rdc_sweeps.training.setup import Learner, TrainingData, build_learner, open_data, region_reader

PROBE_SEED, REFIT_SEED = 0x9806E, 0x4EF17
"""Of the order and the crops of images. They are the same for all runs, so that runs are compared on equal images."""


def probe_batches(
    spec: RunSpec, data: TrainingData, settings: Settings, images: int, *, true_regions: bool = False
) -> list[ProbeBatch]:
    """Batches of training images, in single views as they are drawn in training, and all their labels.

    Args:
        spec: The run.
        data: Its data.
        settings: Where region maps are.
        images: At least so many images, or all.
        true_regions: See `probe_run`.
    """
    augmentation = spec.training.augmentation.model_copy(update={"views": 1, "flip_again": False})
    training = spec.training.model_copy(update={"augmentation": augmentation})
    sizes = training.batch_sizes(len(data.splits.train))
    steps = min(-(-images // sizes[0]), len(sizes))
    regions = _regions(spec, data, settings, true_regions)
    shown, labelled = (
        TrainingBatches(
            data.splits.train, mask, regions, training, seed=PROBE_SEED, depth_by_zoom=spec.dataset.depth_by_zoom
        ).epoch(0, 0, steps)
        for mask in (data.train_mask, data.train_mask | True)
    )
    return [ProbeBatch(one, other.views[0].labels) for one, other in zip(shown, labelled, strict=True)]


def probe_run(
    spec: RunSpec,
    state: Mapping[str, Any],
    settings: Settings,
    *,
    images: int,
    refit: int | None = None,
    true_regions: bool = False,
) -> list[Probe]:
    """Probe the terms of a run at a checkpoint.

    A contrast without gradient (`gradient: false`) is probed as if it had one.

    Args:
        spec: The run, perhaps with another method than it was trained with.
        state: Its `Learner.state_dict`; with `refit`, only the network's part is used.
        settings: Data roots, caches and device.
        images: See `probe_batches`.
        refit: Steps for which the terms are trained from their initialisation, on the network as it is; None to take
            them from the checkpoint.
        true_regions: For analysis alone, since no training may see them: in place of the regions of the run's source,
            the connected parts of the semantic labels of all images, also of those whose label is withheld.

    Raises:
        UsageError: The method has no term, or the checkpoint does not fit, or there are no true regions.
        DataError: The data set is missing or damaged.
    """
    spec = spec.model_copy(update={"method": _with_gradient(spec.method)})
    learner = build_learner(spec, settings)
    if not terms_of_method(learner.method):
        raise UsageError(
            f"method.name: {spec.method.name} has no cross-task term to probe; choose a run that has one, or give the "
            "network of this one a term with --set method.name=region_contrast and --refit"
        )
    _load(learner.network, "network", state, "--set can change the method of a run alone")
    if refit is None:
        _load(learner.method, "method", state, "train this term on the run's network with --refit")
    on_gpu = settings.device != "cpu" and torch.cuda.is_available()
    learner.to("cuda" if on_gpu else "cpu")
    data = open_data(spec, settings)
    if refit is not None:
        training = TrainingBatches(
            data.splits.train,
            data.train_mask,
            _regions(spec, data, settings, true_regions),
            spec.training,
            seed=REFIT_SEED,
            depth_by_zoom=spec.dataset.depth_by_zoom,
        )
        _refit(learner, spec, training, refit)
    batches = probe_batches(spec, data, settings, images, true_regions=true_regions)
    return probe(learner.network, learner.method, batches, spec.dataset.tasks)


def _regions(spec: RunSpec, data: TrainingData, settings: Settings, true_regions: bool) -> RegionsOf | None:
    if not true_regions:
        return region_reader(spec, data, settings)
    terms = terms_of(spec.method).values()
    if not any(isinstance(term, RegionContrast) and term.extraction.name == "region" for term in terms):
        raise UsageError("true regions are for a region contrast whose extraction is region; this method has none")
    if "semantic" not in spec.dataset.tasks:
        raise UsageError(f"true regions are made of semantic labels, which {spec.dataset.name} has not")
    images = data.splits.train
    labels: tuple[Task, ...] = ("semantic",)

    def connected_classes(index: int) -> IdMap:
        classes = images.scene(index, labels).semantic
        assert classes is not None
        return connected_parts(classes)

    return connected_classes


def _load(module: nn.Module, part: str, state: Mapping[str, Any], remedy: str) -> None:
    """Load the part of a learner's state that belongs to one of its modules."""
    own = {name.removeprefix(f"{part}."): value for name, value in state.items() if name.startswith(f"{part}.")}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        shapes, wanted = ({name: value.shape for name, value in each.items()} for each in (own, module.state_dict()))
        name = next(name for name in [*wanted, *shapes] if shapes.get(name) != wanted.get(name))
        raise UsageError(f"{part}.{name}: the checkpoint does not fit; {remedy}") from error


def _with_gradient(method: MethodSpec) -> MethodSpec:
    if isinstance(method, RegionContrast) and not isinstance(method.contrast, ReleasedContrast):
        return method.model_copy(update={"gradient": True})
    if isinstance(method, Combined) and (contrast := getattr(method, "region_contrast", None)) is not None:
        return method.model_copy(update={"region_contrast": _with_gradient(contrast)})
    return method


def _refit(learner: Learner, spec: RunSpec, training: TrainingBatches, steps: int) -> None:
    """Train the terms alone, with the run's learning rates at their start."""
    device = next(learner.network.parameters()).device
    optimizer = build_optimizer(learner, spec.training)
    terms = list(terms_of_method(learner.method).values())
    learner.train()
    for batch in islice(_endless(training), steps):
        shown = batch.to(device)
        with torch.no_grad(), fixed_running_statistics(learner.network):
            outputs = network_outputs(
                learner.network,
                shown,
                last_view=any(term.uses_last_view for term in terms),
                encoder=any(term.uses_encoder for term in terms),
                view_norm="apart",
            )
        loss = torch.stack([term(outputs, shown, AFTER_RAMPS).total for term in terms]).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def _endless(batches: TrainingBatches) -> Iterator[Batch]:
    for epoch in count():
        yield from batches.epoch(epoch)
