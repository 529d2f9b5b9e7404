"""Who is told what happens in a training."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.training.records import EpochRecord

Panel = tuple[str, NDArray[np.uint8]]
"""A title and an RGB picture (H, W, 3)."""


class Observer(Protocol):
    """Is called by the training loop; steps count from 0 over the whole training."""

    def started(self, step: int, epochs: int, steps_per_epoch: int) -> None:
        """Training begins, or goes on, with `step`; what was reported of later steps is void."""

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """A step was taken: losses, diagnostics of the contrast, learning rate."""

    def evaluated(self, record: EpochRecord, step: int, panels: Sequence[Panel]) -> None:
        """An epoch ended; `step` was its last."""
