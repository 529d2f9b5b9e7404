"""Collects what a run keeps of its test images while an epoch is evaluated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.data.scene import Dataset
from rdc_sweeps.files import Write
from rdc_sweeps.metrics.meters import MultiTaskMeter
from rdc_sweeps.models.network import Predictions
from rdc_sweeps.parallel.world import ALONE, World
from rdc_sweeps.specs.base import Size, Task
from rdc_sweeps.specs.training import PredictionsSpec
from rdc_sweeps.training.colours import image_colours
from rdc_sweeps.training.predictions import (
    ImagePredictions,
    Maps,
    half_precision,
    predictions_file,
    reduced,
    reduced_size,
)
from rdc_sweeps.training.scores import ImageScores, scores_file


class ScoreCollector:
    """The metrics of each image of a split; processes that share it have zeros for the others' images.

    Args:
        images: Number of images of the split.
        new_meter: Creates an empty meter.
    """

    def __init__(self, images: int, new_meter: Callable[[], MultiTaskMeter]) -> None:
        self._new_meter = new_meter
        empty = new_meter()
        self._names = list(empty.compute())
        self._values = torch.zeros(images, len(self._names), dtype=torch.float64)
        self._sums = {
            name: torch.zeros(images, *total.shape, dtype=torch.int64)
            for name, total in empty.state_dict().items()
            if not total.is_floating_point()
        }

    def add(self, batch: Batch, predictions: Predictions) -> None:
        """Add a batch; see `evaluate`."""
        labels = batch.views[0].labels
        for position, image in enumerate(batch.indices.tolist()):
            one = slice(position, position + 1)
            meter = self._new_meter()
            meter.update(
                {task: maps[one] for task, maps in predictions.items()},
                {task: label[one] for task, label in labels.items()},
            )
            found = meter.compute()
            values = [torch.nan if (value := found[name]) is None else value for name in self._names]
            self._values[image] = torch.tensor(values, dtype=torch.float64)
            for name, total in meter.state_dict().items():
                if name in self._sums:
                    self._sums[name][image] = total

    def scores(self, epoch: int, world: World = ALONE) -> ImageScores:
        """The scores of all processes' images after an epoch."""
        values = world.sum(self._values.clone()).numpy()
        sums = {name: world.sum(total.clone()).numpy() for name, total in self._sums.items()}
        confusion = sums.pop("semantic.confusion", None)
        pixels: dict[Task, Any] = {name.partition(".")[0]: counts for name, counts in sums.items()}  # type: ignore[misc]
        if confusion is not None:
            pixels = {"semantic": confusion.sum(axis=(1, 2)), **pixels}
        return ImageScores(
            epoch=epoch,
            images=np.arange(len(values)),
            values={name: values[:, column] for column, name in enumerate(self._names)},  # type: ignore[misc]
            pixels=pixels,
            confusion=confusion,
        )


class PredictionCollector:
    """The predictions for some images of a split, reduced in size.

    Args:
        spec: Which images, and their size.
        dataset: The split.
    """

    def __init__(self, spec: PredictionsSpec, dataset: Dataset) -> None:
        self._positions = spec.positions(len(dataset))
        self._size: Size = reduced_size(dataset.size, spec.side)
        count = len(self._positions)
        self._inputs = np.zeros((count, *self._size, 3), dtype=np.uint8)
        self._truth, self._predicted = (_empty(dataset.tasks, count, self._size) for _ in range(2))

    def add(self, batch: Batch, predictions: Predictions) -> None:
        """Add a batch; see `evaluate`."""
        view = batch.views[0]
        for position, image in enumerate(batch.indices.tolist()):
            if image not in self._positions:
                continue
            place = self._positions.index(image)
            self._inputs[place] = image_colours(reduced(view.image[position].cpu().numpy(), self._size))
            for task, maps in self._predicted.items():
                maps[place] = _reduced(task, predictions[task][position], self._size)
                self._truth[task][place] = _reduced(task, view.labels[task][position], self._size)

    def predictions(self, epoch: int, world: World = ALONE) -> ImagePredictions:
        """The predictions of all processes after an epoch."""
        return ImagePredictions(
            epoch=epoch,
            images=np.array(self._positions, dtype=np.int64),
            inputs=_summed(self._inputs, world),
            truth={task: _summed(maps, world) for task, maps in self._truth.items()},
            predicted={task: _summed(maps, world) for task, maps in self._predicted.items()},
        )


class KeptImages:
    """What is kept of the test images after an epoch: the score of each, and predictions if they are asked for.

    Args:
        dataset: The test split.
        new_meter: Creates an empty meter.
        keep: Predictions to keep; None: none.
    """

    def __init__(
        self, dataset: Dataset, new_meter: Callable[[], MultiTaskMeter], keep: PredictionsSpec | None = None
    ) -> None:
        self.scores = ScoreCollector(len(dataset), new_meter)
        self.predictions = None if keep is None else PredictionCollector(keep, dataset)

    def add(self, batch: Batch, predictions: Predictions) -> None:
        """Add a batch; see `evaluate`."""
        self.scores.add(batch, predictions)
        if self.predictions is not None:
            self.predictions.add(batch, predictions)

    def save(self, folder: Path | None, run: str, epoch: int, write: Write, world: World) -> None:
        """Write the files of an epoch; all processes call it, and one of them has the folder."""
        scores = self.scores.scores(epoch, world)
        predictions = None if self.predictions is None else self.predictions.predictions(epoch, world)
        if folder is None:
            return
        scores.save(scores_file(folder, epoch), run, write)
        if predictions is not None:
            predictions.save(predictions_file(folder), run, write)


def _empty(tasks: tuple[Task, ...], count: int, size: Size) -> Maps:
    shapes: dict[Task, tuple[int, ...]] = {"semantic": (), "depth": (), "normal": (3,)}
    return {
        task: np.zeros((count, *shapes[task], *size), dtype=np.int16 if task == "semantic" else np.float16)
        for task in tasks
    }


def _reduced(task: Task, maps: Tensor, size: Size) -> Any:
    """A label or prediction of one image as `Maps` has it."""
    if task == "semantic":
        classes = maps.argmax(0) if maps.dim() == 3 else maps
        return reduced(classes.cpu().numpy().astype(np.int16), size)
    values = reduced(maps.float().cpu().numpy(), size)
    return half_precision(values[0] if task == "depth" else values)


def _summed(array: Any, world: World) -> Any:
    """The sum over processes, in float32, which holds all of these values exactly."""
    if world.size == 1:
        return array
    return world.sum(torch.from_numpy(array.astype(np.float32))).numpy().astype(array.dtype)
