"""Inputs of a_theta, supervised losses and Li et al.'s consistency, one image at a time."""

import torch

from benchmarks.fidelity.component import Component, Differences, largest
from benchmarks.fidelity.examples import gumbel_numbers
from benchmarks.fidelity.inputs import CLASSES, SIZE, TASKS, generator, labels, predictions
from benchmarks.fidelity.measures.networks import copied
from benchmarks.fidelity.references import losses, mapping
from rdc_sweeps.data.batches import Batch, View
from rdc_sweeps.data.noise import step_noise
from rdc_sweeps.methods.cross_task import CrossTaskTerm
from rdc_sweeps.methods.supervised import supervised_losses
from rdc_sweeps.models.shown import label_input, prediction_input
from rdc_sweeps.specs.method import CrossTask

IMAGES = 3
GRANTED = torch.tensor([[True, False, True], [False, True, True], [True, True, False]])


def supervised() -> Differences:
    """Of three images with one or two labels each; each loss is a mean over the batch."""
    predicted, truth = predictions(IMAGES), labels(IMAGES)
    found, apart = supervised_losses(TASKS, predicted, truth, GRANTED), 0.0
    for column, task in enumerate(TASKS):
        expected = torch.zeros((), dtype=torch.float64)
        for image in range(IMAGES):
            if GRANTED[image, column]:
                row = slice(image, image + 1)
                expected += losses.supervised_loss(task, predicted[task][row], truth[task][row]) / IMAGES
        apart = max(apart, largest(found[task], expected))
    return Differences(apart)


def inputs() -> Differences:
    """Predictions and labels of three images."""
    predicted, truth, apart = predictions(IMAGES), labels(IMAGES), 0.0
    uniform = torch.rand(IMAGES, CLASSES, *SIZE, generator=generator(5), dtype=torch.float64)
    for task in TASKS:
        found = prediction_input(task, predicted[task], lambda _: uniform), label_input(task, truth[task], CLASSES)
        for image in range(IMAGES):
            row = slice(image, image + 1)
            expected = (
                mapping.prediction_input(task, predicted[task][row], uniform[row]),
                mapping.label_input(task, truth[task][row], CLASSES),
            )
            apart = max(apart, *(largest(one[row], other) for one, other in zip(found, expected, strict=True)))
    return Differences(apart)


def consistency() -> Differences:
    """Of three images, with a feature of the encoder at the resolution of a_theta."""
    apart = []
    for norm in ("single", "apart"):
        spec = CrossTask.model_validate({"mapping": {"channels": [8, 16], "norm": norm}})
        torch.manual_seed(0)
        term = CrossTaskTerm(spec, TASKS, CLASSES).double().train()
        weights, predicted, truth = copied(term.mapping), predictions(IMAGES), labels(IMAGES)
        feature = torch.randn(
            IMAGES, 16, SIZE[0] // 4, SIZE[1] // 4, generator=generator(6), dtype=torch.float64
        ).relu()
        noise = step_noise(0, 0, 0, range(IMAGES))
        view = View(torch.zeros(IMAGES, 3, *SIZE, dtype=torch.float64), truth, None, torch.ones(IMAGES, *SIZE) > 0)
        batch = Batch(torch.arange(IMAGES), GRANTED, (view,), noise)
        found, uniform = term.consistency(predicted, [feature], batch), gumbel_numbers(noise, GRANTED, SIZE)
        total = 0.0
        for image in range(IMAGES):
            row = slice(image, image + 1)
            for source in range(len(TASKS)):
                for target in range(len(TASKS)):
                    if GRANTED[image, source] or not GRANTED[image, target]:
                        continue
                    number = mapping.pair_number(source, target, len(TASKS))
                    semantic = uniform(image, source, target) if TASKS[source] == "semantic" else None
                    maps = (
                        mapping.prediction_input(TASKS[source], predicted[TASKS[source]][row], semantic),
                        mapping.label_input(TASKS[target], truth[TASKS[target]][row], CLASSES).double(),
                    )
                    mapped = [
                        mapping.features(one, TASKS[task], number, weights)
                        for one, task in zip(maps, (source, target), strict=True)
                    ]
                    total += losses.consistency(mapped[0], mapped[1], feature[row], spec.regulariser).item()
        apart.append(abs(found.item() - total / IMAGES))
    return Differences(*apart)


COMPONENTS = [
    Component(
        "inputs of a_theta", "released code and that of Li et al.", inputs, {"method.mapping.depth_divisor": None}
    ),
    Component("supervised losses", "released code and that of Li et al., after MTAN", supervised),
    Component(
        "consistency of Li et al.",
        "their code, one pair at a time",
        consistency,
        {"method.mapping.norm": "single"},
    ),
]
