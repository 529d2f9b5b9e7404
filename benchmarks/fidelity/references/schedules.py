"""Learning rates and weights over the epochs, from torch's schedulers and from the formulas of the authors' code."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, LRScheduler, StepLR


def released_rates(epochs: int) -> list[tuple[float, float]]:
    """Learning rates of network and FiLM parameters in each epoch of the released code."""
    network = rates(epochs, 5e-4, lambda adam: CosineAnnealingWarmRestarts(adam, T_0=10, T_mult=1, eta_min=1e-6))
    return list(zip(network, rates(epochs, 1e-3, lambda adam: StepLR(adam, 10, 0.5)), strict=True))


def rates(epochs: int, rate: float, scheduler: Callable[[Any], LRScheduler]) -> list[float]:
    """Learning rate in each epoch under one of torch's schedulers, which steps at the end of an epoch."""
    adam = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=rate)
    schedule = scheduler(adam)
    found = []
    for _ in range(epochs):
        found.append(float(adam.param_groups[0]["lr"]))
        adam.step()
        schedule.step()
    return found


def released_weight(epoch: int) -> float:
    """The weight of the contrast in an epoch, counted from 0."""
    return 2.0 * min(epoch / 20 * 0.075, 0.075)


def adam_step(parameters: list[float], gradients: list[list[float]], rate: float) -> list[float]:
    """Parameters after steps with these gradients (Kingma & Ba, ICLR 2015), without weight decay."""
    found = []
    for number, start in enumerate(parameters):
        first = second = 0.0
        value = start
        for step, gradient in enumerate((one[number] for one in gradients), start=1):
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            mean, square = first / (1 - 0.9**step), second / (1 - 0.999**step)
            value -= rate * mean / (math.sqrt(square) + 1e-8)
        found.append(value)
    return found
