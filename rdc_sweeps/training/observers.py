"""Observers of a training, and the record of an epoch."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.specs.training import TrainingLength

Panel = tuple[str, NDArray[np.uint8]]
"""A title and an RGB picture (H, W, 3)."""


class EpochRecord(BaseModel):
    """One epoch: mean training losses, metrics on the test and the held-out validation images, and probes of terms."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    losses: dict[str, float]
    test: MetricValues
    validation: MetricValues | None
    probe: dict[str, float] = {}
    """See `Probe.headline`; empty after epochs without a probe."""


class Observer(Protocol):
    """Called by the training loop; steps are counted from 0 over the whole training."""

    def started(self, step: int, length: TrainingLength) -> None:
        """Training starts or resumes at `step`; discard earlier reports of this and later steps."""

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """A step is finished; `values` are its losses, diagnostics of the contrast and learning rates."""

    def evaluated(self, record: EpochRecord, step: int, panels: Sequence[Panel]) -> None:
        """An epoch is finished and evaluated; `step` was its last step."""
