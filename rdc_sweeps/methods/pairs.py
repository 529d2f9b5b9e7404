"""Which prediction meets which label.

An ordered pair (t, s) sends the prediction of task t and the label of task s into one space. With partial labels, t is
a task without and s a task with a label (section 3.1 of the paper); with all labels, every t differs from s.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.parallel.draws import Share


@dataclass(frozen=True)
class Pairs:
    """N (image, pair) items of a batch, as index tensors (N,) of int64 on the CPU.

    Attributes:
        image: Position of the image in the batch.
        predicted: Position of the task whose prediction is meant.
        labelled: Position of the task whose label is meant.
        whole: The items of all processes that share the batch; None if there is one process.
        first: Where this process's items begin among them.
    """

    image: Tensor
    predicted: Tensor
    labelled: Tensor
    whole: "Pairs | None" = None
    first: int = 0

    def __len__(self) -> int:
        return self.image.shape[0]

    @property
    def of_all(self) -> "Pairs":
        """The items of all processes."""
        return self if self.whole is None else self.whole

    def share(self) -> Share | None:
        """Which of all processes' items these are."""
        return None if self.whole is None else Share(self.first, len(self.whole))

    def share_predicting(self, task: int) -> Share | None:
        """Which of all processes' items with a prediction of `task` are this process's."""
        if self.whole is None:
            return None
        chosen = self.whole.predicted == task
        return Share(int(chosen[: self.first].sum()), int(chosen.sum()))

    def per_image(self) -> Tensor:
        """How many items the image of each item has, (N,)."""
        return self.image.bincount()[self.image]


def batch_pairs(batch: Batch) -> Pairs:
    """All items of a process's batch, which know their place among those of all processes."""
    pairs = task_pairs(batch.granted)
    if batch.whole is None:
        return pairs
    whole = task_pairs(batch.whole)
    return replace(pairs, whole=whole, first=int((whole.image < batch.first).sum()))


def task_pairs(granted: Tensor) -> Pairs:
    """All items of a batch, in the order image, predicted task, labelled task.

    Args:
        granted: Bool (B, K) on the CPU: which image has which task's label.
    """
    labelled = granted[:, None, :]
    wants = ~granted | granted.all(dim=1, keepdim=True)
    meets = wants[:, :, None] & labelled
    meets &= ~torch.eye(granted.shape[1], dtype=torch.bool)
    image, predicted, source = meets.nonzero(as_tuple=True)
    return Pairs(image, predicted, source)
