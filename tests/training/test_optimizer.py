import pytest
import torch

from rdc_sweeps.specs.training import (
    ConstantSchedule,
    CosineRestartsSchedule,
    CosineSchedule,
    PolynomialSchedule,
    ScheduleSpec,
    StepSchedule,
    TrainingLength,
)
from rdc_sweeps.training.optimizer import learning_rate

EPOCHS = 20


def torch_rates(make: type, **options: float) -> list[float]:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=5e-4)
    scheduler = make(optimizer, **options)
    rates = []
    for _ in range(EPOCHS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


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
