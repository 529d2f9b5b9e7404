"""Adam's two parameter groups, clipping, and learning rates that are pure functions of the step: nothing to resume."""

import math

import torch

from rdc_sweeps.methods.supervised import SingleTaskNetworks
from rdc_sweeps.specs.training import FilmGroup, NetworkGroup, ScheduleSpec, TrainingLength, TrainingSpec
from rdc_sweeps.training.setup import Learner


def build_optimizer(learner: Learner, spec: TrainingSpec) -> torch.optim.Adam:
    """Create Adam with the group "network" and, if the method has FiLM parameters, "film"."""
    networks, film = learner.parameter_groups()
    groups = [{"params": networks, "name": "network"}] + ([{"params": film, "name": "film"}] if film else [])
    return torch.optim.Adam(groups, lr=spec.network.learning_rate, weight_decay=spec.weight_decay)


def clip_gradients(learner: Learner, limit: float) -> None:
    """Scale the gradients down so that their total norm is at most `limit`.

    Single-task networks are scaled one by one: a common norm would let the tasks change each other's steps.
    """
    network = learner.network
    parts = network.networks.values() if isinstance(network, SingleTaskNetworks) else [learner]
    for part in parts:
        torch.nn.utils.clip_grad_norm_(part.parameters(), limit)


def set_learning_rates(
    optimizer: torch.optim.Optimizer, spec: TrainingSpec, step: int, length: TrainingLength
) -> dict[str, float]:
    """Set the learning rate of every group for a step, and return the rates under the names that are reported."""
    rates = {}
    for group in optimizer.param_groups:
        chosen: NetworkGroup | FilmGroup = getattr(spec, group["name"])
        group["lr"] = learning_rate(chosen.learning_rate, chosen.schedule, step, length)
        rates[f"learning_rate/{group['name']}"] = group["lr"]
    return rates


def learning_rate(base: float, schedule: ScheduleSpec, step: int, length: TrainingLength) -> float:
    """Learning rate of a step, counted from 0 over the whole training."""
    epoch = step // length.steps_per_epoch
    match schedule.name:
        case "constant":
            return base
        case "step":
            return base * float(schedule.factor ** (epoch // schedule.period))
        case "cosine_restarts":
            return _cosine(base, schedule.minimum, epoch % schedule.period / schedule.period)
        case "cosine":
            return _cosine(base, schedule.minimum, epoch / length.epochs)
        case "polynomial":
            return float(base * (1 - step / length.steps) ** schedule.power)


def _cosine(base: float, minimum: float, progress: float) -> float:
    return minimum + (base - minimum) * (1 + math.cos(math.pi * progress)) / 2
