"""What a training reports, and to whom."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rdc_sweeps.metrics.metric import MetricValues

Panel = tuple[str, NDArray[np.uint8]]
"""A title and an RGB picture (H, W, 3)."""


class EpochRecord(BaseModel):
    """One epoch: mean training losses, and metrics on the test and the held-out validation images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    losses: dict[str, float]
    test: MetricValues
    validation: MetricValues | None


class Observer(Protocol):
    """Called by the training loop; steps count from 0 over the whole training."""

    def started(self, step: int, epochs: int, steps_per_epoch: int) -> None:
        """Training starts or resumes with `step`; earlier reports of that step and later ones no longer count."""

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """A step has ended; `values` are its losses, diagnostics of the contrast and learning rate."""

    def evaluated(self, record: EpochRecord, step: int, panels: Sequence[Panel]) -> None:
        """An epoch has ended; `step` was its last."""
