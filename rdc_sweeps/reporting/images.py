"""What runs keep of their test images, and pictures of it: what figures and pages show.

    scores = kept_scores(directory)             # or selection="best-validation"; None if the run has none
    scores.values["mIoU"], scores.images        # float64 (N,), and the position of each in the test split
    kept = kept_predictions(directory)          # None unless training.keep_predictions asked for some
    for image in kept.images:
        before = png(picture(kept, image, "input", size=(288, 384)))
        after = png(picture(kept, image, "prediction", "depth", size=(288, 384)))

Runs of one data set are drawn in the same colours, and depth with the range of the image's labels, so that pictures of
several runs can be laid over each other.
"""

import io
from typing import Literal

import numpy as np
from PIL import Image

from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.specs.base import Size, Task
from rdc_sweeps.training.colours import Picture, depth_colours, depth_range, normal_colours, semantic_colours
from rdc_sweeps.training.predictions import ImagePredictions, predictions_file
from rdc_sweeps.training.scores import ImageScores, scores_file

Shown = Literal["input", "truth", "prediction"]
"""What a picture shows."""


def kept_scores(directory: RunDirectory, selection: Selection = "last") -> ImageScores | None:
    """The scores of a run's test images after the epoch that a rule selects.

    Args:
        directory: The run.
        selection: The rule. A run that is not done has no scores.

    Returns:
        None if the run keeps none, because it is not done, an earlier version trained it, or the rule selects nothing.

    Raises:
        DamagedError: The result or the file is damaged.
    """
    result = directory.result()
    selected = None if result is None else result.selected.get(selection)
    return None if selected is None else ImageScores.load(scores_file(directory.images, selected.epoch), directory.id)


def kept_predictions(directory: RunDirectory) -> ImagePredictions | None:
    """The predictions that a run keeps, which are those after its last epoch; None if it keeps none.

    Raises:
        DamagedError: The file is damaged.
    """
    return ImagePredictions.load(predictions_file(directory.images), directory.id)


def picture(
    predictions: ImagePredictions, image: int, shown: Shown, task: Task = "semantic", *, size: Size | None = None
) -> Picture:
    """Draw the input, or the label or prediction of a task, for one test image.

    Args:
        predictions: Of a run.
        image: Position in the test split.
        shown: What to draw; an input belongs to no task.
        task: The task.
        size: Height and width in pixels; None: those of the maps. Pixels are repeated or left out, never mixed.

    Returns:
        uint8 (h, w, 3).

    Raises:
        UsageError: There is no such image or task.
    """
    place = predictions.place(image)
    if place is None:
        kept = ", ".join(map(str, predictions.images))
        raise UsageError(f"no predictions for test image {image}. Available: {kept}")
    if shown == "input":
        return resized(predictions.inputs[place], size)
    maps = predictions.truth if shown == "truth" else predictions.predicted
    if task not in maps:
        raise UsageError(f"no {shown} of {task}. Available: {', '.join(maps)}")
    one = maps[task][place]
    if task == "depth":
        drawn = depth_colours(one.astype(np.float32), *image_depth_range(predictions, image))
    elif task == "normal":
        drawn = normal_colours(one.astype(np.float32))
    else:
        drawn = semantic_colours(one)
    return resized(drawn, size)


def image_depth_range(predictions: ImagePredictions, image: int) -> tuple[float, float]:
    """The least and the largest depth that colours of an image distinguish: those of its label, if it has one."""
    place = predictions.place(image)
    maps = (predictions.truth, predictions.predicted)
    found = [one["depth"][place].astype(np.float32) for one in maps if place is not None and "depth" in one]
    return depth_range(found)


def resized(drawn: Picture, size: Size | None) -> Picture:
    """A picture (h, w, 3) at another height and width, by its nearest pixels; unchanged for None."""
    if size is None or drawn.shape[:2] == size:
        return drawn
    return np.asarray(Image.fromarray(drawn).resize((size[1], size[0]), Image.Resampling.NEAREST))


def png(drawn: Picture) -> bytes:
    """A picture as PNG; equal pictures give equal bytes."""
    content = io.BytesIO()
    Image.fromarray(drawn).save(content, format="PNG")
    return content.getvalue()
