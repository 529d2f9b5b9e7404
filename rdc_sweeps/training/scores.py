"""The metrics of each test image after an epoch, in a file of the run."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.errors import DamagedError
from rdc_sweeps.files import Write, write_atomically
from rdc_sweeps.metrics.metric import METRICS, MetricName
from rdc_sweeps.specs.base import Task
from rdc_sweeps.training.archives import REMEDY, load_arrays, save_arrays


def scores_file(folder: Path, epoch: int | Literal["*"]) -> Path:
    """The file with the scores after an epoch, counted from 0, or the pattern of all."""
    return folder / f"scores-{epoch}.npz"


@dataclass(frozen=True)
class ImageScores:
    """The metrics of N test images, each computed by the meters as if the image were the whole split.

    `mIoU` of an image is therefore the mean IoU of the classes that its labels or its prediction have.

    Attributes:
        epoch: The epoch, counted from 0.
        images: int64 (N,), positions in the test split.
        values: By metric float64 (N,), in the metric's unit; NaN where an image has no valid pixel.
        pixels: By task int64 (N,), the valid pixels.
        confusion: int64 (N, C, C), pixels by labelled and predicted class; None without semantic segmentation.
    """

    epoch: int
    images: NDArray[np.int64]
    values: dict[MetricName, NDArray[np.float64]]
    pixels: dict[Task, NDArray[np.int64]]
    confusion: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.images)

    def of_image(self, image: int) -> dict[MetricName, float]:
        """The metrics of one image, without those for which it has no valid pixel; empty for an unknown image."""
        (places,) = np.nonzero(self.images == image)
        values = {name: float(scores[place]) for place in places[:1] for name, scores in self.values.items()}
        return {name: value for name, value in values.items() if not math.isnan(value)}

    def class_iou(self) -> NDArray[np.float64] | None:
        """IoU of each class in percent over all images (C,), NaN for a class that occurs nowhere; None as above."""
        return None if self.confusion is None else class_iou(self.confusion.sum(axis=0))

    def save(self, path: Path, run: str, write: Write = write_atomically) -> None:
        """Write the file; confusion matrices are stored as int32, an image having fewer pixels."""
        arrays: dict[str, NDArray[Any]] = {"epoch": np.array(self.epoch), "images": self.images}
        arrays |= {f"value.{name}": scores for name, scores in self.values.items()}
        arrays |= {f"pixels.{task}": counts for task, counts in self.pixels.items()}
        if self.confusion is not None:
            arrays["confusion"] = self.confusion.astype(np.int32)
        save_arrays(path, run, arrays, write)

    @classmethod
    def load(cls, path: Path, run: str) -> Self | None:
        """Read the file; None if there is none.

        Raises:
            DamagedError: It is damaged, or another run's.
            OSError: The disk cannot be read.
        """
        arrays = load_arrays(path, run)
        if arrays is None:
            return None
        try:
            confusion = arrays.get("confusion")
            return cls(
                epoch=int(arrays["epoch"]),
                images=arrays["images"],
                values={name: arrays[f"value.{name}"] for name in METRICS if f"value.{name}" in arrays},  # type: ignore[misc]
                pixels={task: arrays[f"pixels.{task}"] for task in get_args(Task) if f"pixels.{task}" in arrays},
                confusion=None if confusion is None else confusion.astype(np.int64),
            )
        except KeyError as error:
            raise DamagedError(f"{path}: lacks {error}; {REMEDY}") from error


def class_iou(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """IoU of each class in percent (C,) from a confusion matrix (C, C); NaN for a class that occurs nowhere."""
    hits = confusion.diagonal().astype(np.float64)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hits
    iou: NDArray[np.float64] = np.divide(100 * hits, union, out=np.full_like(hits, np.nan), where=union > 0)
    return iou
