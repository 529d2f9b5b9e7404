"""Which prediction meets which label.

An ordered pair (t, s) sends the prediction of task t and the label of task s into one space. With partial labels, t is
a task without and s a task with a label (section 3.1 of the paper); with all labels, every t differs from s.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """N (image, pair) items of a batch, as index tensors (N,) of int64 on the CPU."""

    image: Tensor
    predicted: Tensor
    labelled: Tensor

    def __len__(self) -> int:
        return self.image.shape[0]

    def per_image(self) -> Tensor:
        """How many items the image of each item has, (N,)."""
        return self.image.bincount()[self.image]


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
