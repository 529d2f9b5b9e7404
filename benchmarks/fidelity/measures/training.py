"""Learning rates, the ramp of the contrast's weight, and the optimiser's two groups."""

from pathlib import Path

import torch
from torch.optim.lr_scheduler import StepLR

from benchmarks.fidelity.component import Component, Differences
from benchmarks.fidelity.inputs import generator
from benchmarks.fidelity.references import schedules
from rdc_sweeps.methods.region_contrast import RegionContrastTerm
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.method import RegionContrast
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.optimizer import build_optimizer, learning_rate, set_learning_rates
from rdc_sweeps.training.setup import Learner, build_learner

CATALOGUE = Catalogue(Path(__file__).parents[3] / "experiments")
IMAGES = 795
STEPS = 3
TINY = [
    "backbone={name: segnet, width: 1}",
    "method.mapping.channels=[2]",
]
"""A few hundred weights, each of which is followed on its own."""


def resolved(table: str, row: str, *settings: str, compat: str | None = None) -> RunSpec:
    """A row under the profile of the paper."""
    (run,) = CATALOGUE.runs(table, "paper", rows=[row], settings=settings, compat=compat)
    return run.spec


def _learner(spec: RunSpec) -> Learner:
    return build_learner(spec, Settings()).double()


def _rates(spec: RunSpec) -> list[tuple[float, float]]:
    """Learning rates of the network and of FiLM in each epoch."""
    small = spec.model_copy(update={"backbone": resolved("table3", "one-region-gaussian", *TINY).backbone})
    optimizer, length = build_optimizer(_learner(small), spec.training), spec.training.length(IMAGES)
    found = []
    for epoch in range(length.epochs):
        rates = set_learning_rates(optimizer, spec.training, epoch * length.steps_per_epoch, length)
        found.append((rates["learning_rate/network"], rates["learning_rate/film"]))
    return found


def _relative(found: list[tuple[float, float]], expected: list[tuple[float, float]]) -> float:
    return max(
        abs(one / other - 1)
        for rates, others in zip(found, expected, strict=True)
        for one, other in zip(rates, others, strict=True)
    )


def released_rates() -> Differences:
    """Relative, over 20 epochs."""
    found = _rates(resolved("table3", "one-region-gaussian"))
    return Differences(_relative(found, schedules.released_rates(len(found))))


def rates_of_li() -> Differences:
    """Relative, over 200 epochs."""
    found = _rates(resolved("table1", "one-segnet-li"))
    network = schedules.rates(len(found), 1e-4, lambda adam: StepLR(adam, step_size=100, gamma=0.5))
    film = schedules.rates(len(found), 1e-3, lambda adam: StepLR(adam, step_size=30, gamma=0.5))
    return Differences(_relative(found, list(zip(network, film, strict=True))))


def rates_of_taskexpert() -> Differences:
    """Relative, at a hundred of 40,000 iterations."""
    training, steps = resolved("table1", "full-taskexpert").training, 40_000
    length, chosen = training.length(IMAGES), training.network
    apart = 0.0
    for step in range(0, steps, steps // 100):
        expected = 2e-5 * (1 - step / steps) ** 0.9
        apart = max(apart, abs(learning_rate(chosen.learning_rate, chosen.schedule, step, length) / expected - 1))
    return Differences(apart)


def weight() -> Differences:
    """Over 40 epochs, at the beginning of each and near its end."""
    apart = []
    for compat in ("released", None):
        spec = resolved("table3", "one-region-gaussian", "method.mapping.channels=[2]", compat=compat)
        assert isinstance(spec.method, RegionContrast)
        term = RegionContrastTerm(spec.method, spec.dataset.tasks, len(spec.dataset.classes))
        times = [(epoch, epoch + within) for epoch in range(40) for within in (0.0, 0.9)]
        apart.append(max(abs(term.weight(time) - schedules.released_weight(epoch)) for epoch, time in times))
    return Differences(*apart)


def optimizer() -> Differences:
    """Every weight after three steps along given gradients, the FiLM parameters at their own rate."""
    spec = resolved("table3", "one-region-gaussian", *TINY)
    learner, source = _learner(spec), generator()
    network_rate, film_rate = schedules.released_rates(1)[0]
    built, length = build_optimizer(learner, spec.training), spec.training.length(IMAGES)
    set_learning_rates(built, spec.training, 0, length)
    start = {name: parameter.detach().clone() for name, parameter in learner.named_parameters()}
    given: list[dict[str, list[float]]] = []
    for _ in range(STEPS):
        for parameter in learner.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=source, dtype=torch.float64)
        gradients = {name: parameter.grad for name, parameter in learner.named_parameters()}
        given.append(
            {name: gradient.flatten().tolist() for name, gradient in gradients.items() if gradient is not None}
        )
        built.step()
    apart = 0.0
    for name, parameter in learner.named_parameters():
        rate = film_rate if name.endswith((".gamma", ".beta")) else network_rate
        expected = schedules.adam_step(start[name].flatten().tolist(), [one[name] for one in given], rate)
        found = parameter.detach().flatten().tolist()
        apart = max(apart, *(abs(one - other) for one, other in zip(found, expected, strict=True)))
    return Differences(apart)


COMPONENTS = [
    Component(
        "learning rates, relative",
        "torch's schedulers with the settings of the released code",
        released_rates,
        {"training.network.schedule.name": "cosine_restarts", "training.film.schedule.name": "step"},
    ),
    Component(
        "learning rates of Li et al., relative",
        "torch's schedulers with the settings of their code",
        rates_of_li,
        {"training.network.schedule.name": "step", "training.film.schedule.name": "step"},
    ),
    Component(
        "learning rates of TaskExpert, relative",
        "polynomial decay of its public neighbours (InvPT)",
        rates_of_taskexpert,
        {"training.network.schedule.name": "polynomial", "training.iterations": 40000},
    ),
    Component(
        "weights after 3 steps of the optimiser, two groups", "Adam (Kingma & Ba, ICLR 2015), in loops", optimizer
    ),
    Component(
        "weight of the contrast in each epoch",
        "released code",
        weight,
        {"method.weight": 0.15, "method.ramp_epochs": 20, "method.ramp_by": "epoch"},
    ),
]
