from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import LRScheduler

from benchmarks.fidelity.references import schedules
from rdc_sweeps.data.batches import Batch
from rdc_sweeps.methods.method import Losses, Method
from rdc_sweeps.methods.supervised import SingleTaskNetworks
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.training import (
    ConstantSchedule,
    CosineRestartsSchedule,
    CosineSchedule,
    PolynomialSchedule,
    ScheduleSpec,
    StepSchedule,
    TrainingLength,
    TrainingSpec,
)
from rdc_sweeps.training.optimizer import build_optimizer, clip_gradients, learning_rate
from rdc_sweeps.training.setup import Learner

EPOCHS = 20
TASKS: tuple[Task, ...] = ("semantic", "depth")


class FilmAlone(Method):
    """A method with two parameters, one of which is FiLM's."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping, self.film = (torch.nn.Parameter(torch.randn(3)) for _ in range(2))

    def film_parameters(self) -> list[torch.nn.Parameter]:
        return [self.film]

    def forward(self, network: torch.nn.Module, batch: Batch, epoch: float) -> Losses:
        raise AssertionError("only its parameters are used")


def learner_with_gradients(network: torch.nn.Module) -> Learner:
    learner = Learner(network, FilmAlone()).double()
    for parameter in learner.parameters():
        parameter.grad = torch.randn_like(parameter)
    return learner


def gradients(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in module.parameters() if parameter.grad is not None])


def torch_rates(make: Callable[..., LRScheduler], **options: float) -> list[float]:
    return schedules.rates(EPOCHS, 5e-4, partial(make, **options))


@pytest.mark.parametrize(
    ("spec", "reference"),
    [
        (
            CosineRestartsSchedule(period=10, minimum=1e-6),
            torch_rates(torch.optim.lr_scheduler.CosineAnnealingWarmRestarts, T_0=10, eta_min=1e-6),
        ),
        (StepSchedule(period=10, factor=0.5), torch_rates(torch.optim.lr_scheduler.StepLR, step_size=10, gamma=0.5)),
        (
            CosineSchedule(minimum=1e-6),
            torch_rates(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=EPOCHS, eta_min=1e-6),
        ),
        (ConstantSchedule(), [5e-4] * EPOCHS),
    ],
)
def test_rates_equal_the_schedulers_of_torch(spec: ScheduleSpec, reference: list[float]) -> None:
    length = TrainingLength(EPOCHS * 3, 3)
    rates = [learning_rate(5e-4, spec, step, length) for step in range(length.steps)]
    assert rates[::3] == rates[1::3] == rates[2::3]
    rates = rates[::3]
    assert rates == pytest.approx(reference, rel=1e-9)


def test_the_polynomial_schedule_equals_that_of_torch_at_every_step_of_an_incomplete_last_epoch() -> None:
    length = TrainingLength(50, 8)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([parameter], lr=2e-5)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=50, power=0.9)
    for step in range(length.steps):
        found = learning_rate(2e-5, PolynomialSchedule(power=0.9), step, length)
        assert found == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        scheduler.step()
    assert learning_rate(2e-5, PolynomialSchedule(power=0.9), 50, length) == 0


def test_both_groups_take_adam_s_steps_with_an_l2_penalty() -> None:
    """Against the update rule of Kingma & Ba (2015), with the decay added to the gradient."""
    torch.manual_seed(0)
    learner = learner_with_gradients(torch.nn.Linear(4, 3))
    spec = TrainingSpec.model_validate({"weight_decay": 0.1, "network": {"learning_rate": 0.01}})
    optimizer = build_optimizer(learner, spec)
    assert [group["name"] for group in optimizer.param_groups] == ["network", "film"]
    optimizer.param_groups[1]["lr"] = 0.02
    expected = {name: parameter.detach().clone() for name, parameter in learner.named_parameters()}
    first, second = (dict.fromkeys(expected, torch.zeros(())) for _ in range(2))
    for step in range(1, 4):
        for name, parameter in learner.named_parameters():
            assert parameter.grad is not None
            gradient = parameter.grad + 0.1 * expected[name]
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * gradient**2
            moments = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
            rate = 0.02 if name == "method.film" else 0.01
            expected[name] -= rate * moments[0] / (moments[1].sqrt() + 1e-8)
        optimizer.step()
        for name, parameter in learner.named_parameters():
            torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-12, atol=1e-12)
            parameter.grad = torch.randn_like(parameter)


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_the_total_gradient_is_clipped(limit: float) -> None:
    torch.manual_seed(0)
    learner = learner_with_gradients(torch.nn.Linear(4, 3))
    before = gradients(learner)
    clip_gradients(learner, limit)
    torch.testing.assert_close(gradients(learner), before * min(1.0, limit / before.norm().item()), rtol=1e-5, atol=0)


def test_single_task_networks_are_clipped_as_each_would_be_alone() -> None:
    torch.manual_seed(0)
    networks = SingleTaskNetworks(lambda tasks: torch.nn.Linear(4, 3), TASKS)
    learner = learner_with_gradients(networks)
    large, small = networks.networks.values()
    for parameter in small.parameters():
        assert parameter.grad is not None
        parameter.grad *= 0.01
    before, untouched = gradients(large), gradients(small)
    clip_gradients(learner, 0.5)
    torch.testing.assert_close(gradients(large), before * 0.5 / before.norm(), rtol=1e-5, atol=0)
    assert torch.equal(gradients(small), untouched)
