"""The contrast as a term of the training: its regions, its gradient, and whole steps of the released code."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from benchmarks.fidelity.component import Component, Differences, largest, largest_of
from benchmarks.fidelity.examples import example
from benchmarks.fidelity.inputs import CLASSES, SIZE, TASKS, images, labels, predictions, region_map
from benchmarks.fidelity.measures.networks import copied
from benchmarks.fidelity.measures.training import resolved
from benchmarks.fidelity.references.layers import below
from benchmarks.fidelity.references.released_step import ReleasedTraining, region_sample
from rdc_sweeps.data.batches import Batch, View
from rdc_sweeps.data.noise import step_noise
from rdc_sweeps.methods.method import Outputs
from rdc_sweeps.methods.region_contrast import RegionContrastTerm
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.method import RegionContrast
from rdc_sweeps.training.optimizer import build_optimizer, set_learning_rates
from rdc_sweeps.training.setup import build_learner

IMAGES = 3
STEPS = 3
GRANTED = torch.tensor([[True, False, False], [False, True, False], [False, True, True]])


def view(seed: int) -> View:
    """A view of three images with all labels; some pixels are void."""
    truth = labels(IMAGES, seed)
    valid = (truth["semantic"] >= 0) & (truth["depth"][:, 0] > 0)
    return View(images(IMAGES, seed), truth, region_map(IMAGES, seed, block=24).int(), valid)


def batch(step: int) -> Batch:
    """Two unrelated views of three images with one or two labels each."""
    noise = step_noise(0, step, 0, range(IMAGES))
    return Batch(torch.arange(IMAGES), GRANTED, (view(2 * step), view(2 * step + 1)), noise)


def term(**fields: Any) -> RegionContrastTerm:
    """A contrast with a small a_theta, in float64."""
    torch.manual_seed(0)
    spec = RegionContrast.model_validate({"mapping": {"channels": [8, 8]}, **fields})
    return RegionContrastTerm(spec, TASKS, CLASSES).double()


def regions() -> Differences:
    """Share of the pixels of a region map that have another region."""
    shown = view(0)
    assert shown.regions is not None
    expected = region_sample(shown.regions)
    switched = ({"region_pixel": "corner", "void": "kept"}, {"region_pixel": "centre", "void": "masked"})
    return Differences(*(float((term(**fields).regions(shown) != expected).double().mean()) for fields in switched))


def gradient() -> Differences:
    """The largest gradient of the contrast with respect to a prediction; the released code has none."""
    found = []
    for connected in (False, True):
        built, given = term(gradient=connected), batch(0)
        last = {task: maps.requires_grad_() for task, maps in predictions(IMAGES).items()}
        total = built(Outputs([], last), given, 1.0).total + sum(0 * maps.sum() for maps in last.values())
        total.backward()
        gradients: Mapping[str, Tensor | None] = {task: maps.grad for task, maps in last.items()}
        found.append(max(largest(grad, 0.0) for grad in gradients.values() if grad is not None))
    return Differences(*found)


def steps() -> Differences:
    """Losses and weights after each of three steps from equal weights, in three epochs."""
    settings = ["backbone.pretrained.source=none", f"dataset.size=[{SIZE[0]}, {SIZE[1]}]"]
    spec = resolved("table3", "one-region-gaussian", *settings, compat="released")
    learner = build_learner(spec, Settings()).double().train()
    for module in learner.modules():
        if isinstance(module, torch.nn.Conv2d):
            # One-hot labels are made in single precision.
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
    weights = copied(learner)
    theirs = ReleasedTraining(
        below(weights, "network."), below(weights, "method.terms.region_contrast.mapping."), spec.training.epochs or 0
    )
    optimizer, length, apart = build_optimizer(learner, spec.training), spec.training.length(795), 0.0
    for epoch in range(STEPS):
        given = batch(epoch)
        set_learning_rates(optimizer, spec.training, epoch * length.steps_per_epoch, length)
        losses = learner(given, float(epoch))
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        expected = theirs.step(example(given), epoch)
        found = {"total": losses.total, **{name.removeprefix("loss/"): loss for name, loss in losses.reported.items()}}
        apart = max(apart, *(largest(loss, expected[name]) for name, loss in found.items()))
        state = below(copied(learner), "network.")
        apart = max(apart, largest_of({name: state[name] for name in theirs.network}, theirs.network))
    return Differences(apart)


COMPONENTS = [
    Component(
        "regions of the map, share of the pixels",
        "released code",
        regions,
        {"method.region_pixel": "corner", "method.void": "kept"},
        bound=0.0,
    ),
    Component(
        "gradient of the contrast at a prediction",
        "released code, which has none",
        gradient,
        {"method.gradient": False},
    ),
    Component(
        "three training steps from equal weights: losses, weights, statistics",
        "released code, one image and one pair at a time",
        steps,
        remark="`--compat released`",
        bound=1e-10,
    ),
]
