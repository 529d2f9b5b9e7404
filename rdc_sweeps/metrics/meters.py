"""Streaming meters: they sum over pixels, so that metrics do not depend on how images are split into batches."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rdc_sweeps.errors import DataError, DivergenceError
from rdc_sweeps.metrics.metric import metrics_of
from rdc_sweeps.specs.base import Task

_LEAST_RELEASED_DEPTH = 1e-9
"""What the released meter raises smaller depth predictions to, in the data set's unit."""


class Meter(ABC):
    """Sums over batches, and the metrics computed from them.

    The sums are kept on the CPU, as integers and float64: not every device has float64.
    """

    def __init__(self, sums: dict[str, Tensor]) -> None:
        self.sums = sums

    @abstractmethod
    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Adds a batch."""

    @abstractmethod
    def compute(self) -> dict[str, float | None]:
        """The metrics; None without any valid pixel."""

    def state_dict(self) -> dict[str, Tensor]:
        """The sums: added over processes they are the sums of all."""
        return {name: total.clone() for name, total in self.sums.items()}

    def merge(self, state: Mapping[str, Tensor]) -> None:
        """Adds the sums of another meter of the same kind."""
        for name, total in state.items():
            self.sums[name] += total.cpu()

    def _means(self, task: Task) -> dict[str, float | None]:
        return {name: self._mean(name) for name in metrics_of(task)}

    def _mean(self, name: str) -> float | None:
        count = int(self.sums["pixels"])
        if not count:
            return None
        mean = float(self.sums[name]) / count
        if not math.isfinite(mean):
            raise DivergenceError(f"{name} is {mean}: predictions are not finite. Lower the learning rate.")
        return mean


class SemanticMeter(Meter):
    """mIoU and pixel accuracy in percent from one confusion matrix over all pixels; label -1 is void.

    A class that neither predictions nor labels contain is left out of the mean. It counts as 0 in the released code,
    and makes the mean NaN in that of Li et al.
    """

    def __init__(self, classes: int) -> None:
        super().__init__({"confusion": torch.zeros(classes, classes, dtype=torch.int64)})

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Adds logits (B, C, H, W) and labels (B, H, W).

        Raises:
            DataError: A label beyond the classes.
        """
        classes = len(self.sums["confusion"])
        valid = label >= 0
        cells = label[valid].long() * classes + prediction.argmax(1)[valid]
        counts = torch.bincount(cells, minlength=classes**2)
        if len(counts) > classes**2:
            raise DataError(f"semantic label {int(label.max())} with {classes} classes: labels are 0 to {classes - 1}.")
        self.merge({"confusion": counts.view(classes, classes)})

    def compute(self) -> dict[str, float | None]:
        """`mIoU` and `pixAcc` in percent."""
        confusion = self.sums["confusion"].double()
        hits, total = confusion.diagonal(), confusion.sum()
        if not total:
            return dict.fromkeys(metrics_of("semantic"))
        union = confusion.sum(0) + confusion.sum(1) - hits
        present = union > 0
        return {
            "mIoU": float((hits[present] / union[present]).mean() * 100),
            "pixAcc": float(hits.sum() / total * 100),
        }


class DepthMeter(Meter):
    """Mean absolute error in the data set's unit and mean relative error, over pixels with a depth above 0.

    `aErr` takes the prediction as it is. `aErr_released` raises it to at least 1e-9 first, as the released code, MTPSL
    and JTR do: a prediction below 0 counts as almost 0, and its error is smaller.
    """

    def __init__(self) -> None:
        super().__init__(_sums("depth"))

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Adds predictions and labels (B, 1, H, W)."""
        valid = label > 0
        depth = label[valid].double()
        predicted = prediction[valid].double()
        error = (predicted - depth).abs()
        released = (predicted.clamp(min=_LEAST_RELEASED_DEPTH) - depth).abs()
        self.merge(
            {
                "aErr": error.sum(),
                "aErr_released": released.sum(),
                "rErr": (error / depth).sum(),
                "pixels": valid.sum(),
            }
        )

    def compute(self) -> dict[str, float | None]:
        """`aErr`, `aErr_released` and `rErr`."""
        return self._means("depth")


class NormalMeter(Meter):
    """Mean angle in degrees between predicted and labelled normals, measured correctly and as the released code does.

    `mErr` is the angle, independent of both lengths; a prediction of length 0 has no direction and counts as 90.
    `mErr_released` is acos(clamp(p . l, -1, 1)) without normalising the prediction: the longer the prediction, the
    smaller the reported "angle". Pixels whose label is (0, 0, 0) are invalid.
    """

    def __init__(self) -> None:
        super().__init__(_sums("normal"))

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """Adds predictions and labels (B, 3, H, W)."""
        valid = (label != 0).any(1)
        predicted = prediction.movedim(1, -1)[valid].double()
        labelled = label.movedim(1, -1)[valid].double()
        cosine = (predicted * labelled).sum(-1)
        sine = torch.linalg.vector_norm(torch.linalg.cross(predicted, labelled), dim=-1)
        # atan2 is accurate at every angle, and lengths cancel; an arc cosine loses half its digits near 0.
        angle = torch.atan2(sine, cosine)
        angle[(predicted == 0).all(-1)] = torch.pi / 2
        released = cosine.clamp(-1, 1).acos()
        self.merge(
            {
                "mErr": torch.rad2deg(angle).sum(),
                "mErr_released": torch.rad2deg(released).sum(),
                "pixels": valid.sum(),
            }
        )

    def compute(self) -> dict[str, float | None]:
        """`mErr` and `mErr_released` in degrees."""
        return self._means("normal")


class MultiTaskMeter:
    """The meters of several tasks.

    Args:
        tasks: Tasks to measure.
        classes: Number of semantic classes.
    """

    def __init__(self, tasks: Sequence[Task], classes: int) -> None:
        meters: dict[Task, Meter] = {
            "semantic": SemanticMeter(classes),
            "depth": DepthMeter(),
            "normal": NormalMeter(),
        }
        self.meters = {task: meters[task] for task in tasks}

    @torch.no_grad()
    def update(self, predictions: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> None:
        """Adds a batch; shapes as in the meters of the tasks."""
        for task, meter in self.meters.items():
            meter.update(predictions[task], labels[task])

    def compute(self) -> dict[str, float | None]:
        """The metrics of the tasks by name, as `METRICS` lists them.

        Raises:
            DivergenceError: Predictions were not finite.
        """
        return {name: value for meter in self.meters.values() for name, value in meter.compute().items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of all sums, named task.sum: added over processes (all-reduce) they are the sums of all."""
        return {
            f"{task}.{name}": total for task, meter in self.meters.items() for name, total in meter.state_dict().items()
        }

    def merge(self, state: Mapping[str, Tensor]) -> None:
        """Adds the sums of another meter of the same tasks, as from its `state_dict`."""
        for name, total in state.items():
            task, _, key = name.partition(".")
            self.meters[task].merge({key: total})  # type: ignore[index]


def _sums(task: Task) -> dict[str, Tensor]:
    """A sum for each metric of a task, and the number of pixels."""
    sums: dict[str, Tensor] = {name: torch.zeros((), dtype=torch.float64) for name in metrics_of(task)}
    return {**sums, "pixels": torch.zeros((), dtype=torch.int64)}
