"""What a training reports: epochs, and the epoch that each selection rule chooses."""

from collections.abc import Sequence
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
    # A relative gain over nothing, or over zero, does not exist.
    reference = {name: value for name in COMPARED if (value := (splits[-1] or {}).get(name))}
    if not reference:
        return None

    def gain(metrics: Metrics | None) -> float:
        measured = {name: value for name in reference if (value := (metrics or {}).get(name)) is not None}
        return delta_m(measured, reference) if len(measured) == len(reference) else -float("inf")

    gains = [gain(metrics) for metrics in splits]
    return history[gains.index(max(gains))]
