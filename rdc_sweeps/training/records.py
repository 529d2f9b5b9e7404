"""What a training reports: epochs, and the epoch that each selection rule chooses."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from rdc_sweeps.metrics.delta import delta_m

Metrics = dict[str, float | None]
"""Metric name to value; None where no pixel was valid."""

SELECTIONS: tuple[Literal["last", "best-validation", "best-test"], ...] = ("last", "best-validation", "best-test")
COMPARED = ("mIoU", "aErr", "mErr")


class EpochRecord(BaseModel):
    """One epoch: mean training losses, and metrics on the test and the held-out validation images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    losses: dict[str, float]
    test: Metrics
    validation: Metrics | None


def select(history: Sequence[EpochRecord], rule: str) -> EpochRecord | None:
    """The epoch that a rule chooses; None if it cannot (no validation images).

    `last` is the last epoch. The others maximise the mean relative gain over the last epoch (Vandenhende et al. 2021,
    delta-m with the run itself as reference) of mIoU, aErr and honest mErr on their split; the earlier epoch wins ties.
    """
    if rule == "last":
        return history[-1]
    splits = [record.test if rule == "best-test" else record.validation for record in history]
    reference = _comparable(splits[-1])
    if not reference:
        return None

    def gain(index: int) -> float:
        metrics = _comparable(splits[index])
        shared = {name: value for name, value in reference.items() if name in metrics}
        return delta_m({name: metrics[name] for name in shared}, shared) if shared else -float("inf")

    return history[max(range(len(history)), key=lambda index: (gain(index), -index))]


def _comparable(metrics: Mapping[str, float | None] | None) -> dict[str, float]:
    """Metrics that relative gains can be counted in: measured, and not zero."""
    return {name: value for name in COMPARED if (value := (metrics or {}).get(name))}
