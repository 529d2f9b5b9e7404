"""Prediction panels: the input, and the ground truth and prediction of every task, in one picture."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.errors import UsageError
from rdc_sweeps.training.colours import (
    Picture,
    class_colour,
    depth_colours,
    depth_range,
    hatching,
    image_colours,
    normal_colours,
    semantic_colours,
)

GAP = 8
CAPTION = 18
"""Height in pixels of the line above each picture."""

FONT_SIZE = 12
INK = (40, 40, 40)
PAPER = (255, 255, 255)

SMALLEST = 144
"""Height in pixels below which pictures are enlarged by a whole factor."""


class Captioned(NamedTuple):
    """A picture and the line above it."""

    caption: str
    picture: Image.Image


def prediction_panel(
    image: Any, truth: Mapping[str, Any], prediction: Mapping[str, Any], *, classes: Sequence[str] = ()
) -> Picture:
    """Draw the input and, for each task, the ground truth above the prediction.

    Depth of ground truth and prediction is drawn with the same range, that of the ground truth if there is one. Missing
    ground truth (None or absent, withheld by the label setting) is hatched.

    Args:
        image: Tensor or array (3, H, W) in [0, 1].
        truth: Per task a tensor or array, or None: semantic (H, W) labels, depth (H, W) or (1, H, W), normal (3, H, W).
        prediction: The same, for the tasks to draw, in this order; semantic can also be scores (C, H, W).
        classes: Names of the semantic classes, for the legend.

    Returns:
        uint8 (H', W', 3).

    Raises:
        UsageError: A task cannot be drawn, or the shape of a map differs from the image's.
    """
    picture = image_colours(_array(image))
    height, width = picture.shape[:2]
    zoom = -(-SMALLEST // height)
    size = (width * zoom, height * zoom)
    columns = [[Captioned("input", _fit(picture, size))]]
    for task, predicted in prediction.items():
        known = _task_map(task, truth.get(task), (height, width))
        guess = _task_map(task, predicted, (height, width))
        remark, drawn = _colour(task, known, guess)
        pictures = [_fit(hatching(size[1], size[0]) if one is None else one, size) for one in drawn]
        upper = f"{task}: {'no truth' if known is None else 'truth'}{remark}"
        columns.append([Captioned(upper, pictures[0]), Captioned(f"{task}: prediction", pictures[1])])
        if task == "semantic":
            columns[0].append(Captioned("", _legend([one for one in (known, guess) if one is not None], classes, size)))
    return _arrange(columns, size)


def panel_parts(panel: Image.Image, tasks: Sequence[str]) -> dict[str, Image.Image]:
    """Cut a panel into its pictures.

    Args:
        panel: What `prediction_panel` drew.
        tasks: The tasks that it shows, in their order.

    Returns:
        `input`; of each task `TASK truth` and `TASK`, its prediction; `legend` if semantic is among the tasks.

    Raises:
        ValueError: The panel does not have this many tasks.
    """
    columns = 1 + len(tasks)
    across, down = (panel.width - GAP) // columns, (panel.height - GAP) // 2
    if (across * columns + GAP, 2 * down + GAP) != panel.size or min(across - GAP, down - CAPTION) < 1:
        raise ValueError(f"a picture of {panel.width} x {panel.height} is no panel of {len(tasks)} tasks")

    def part(x: int, y: int) -> Image.Image:
        left, top = GAP + x * across, y * down + CAPTION
        return panel.crop((left, top, left + across - GAP, top + down - CAPTION))

    parts = {"input": part(0, 0)}
    for x, task in enumerate(tasks, 1):
        parts |= {f"{task} truth": part(x, 0), task: part(x, 1)}
    return parts | ({"legend": part(0, 1)} if "semantic" in tasks else {})


def _array(value: Any) -> AnyArray:
    """Convert a tensor or array to a NumPy array of floats or integers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        # NumPy has no bfloat16.
        value = (value.float() if value.is_floating_point() else value).numpy()
    return np.asarray(value)


def _task_map(task: str, value: Any, size: tuple[int, int]) -> AnyArray | None:
    """Bring the map of a task into one shape: semantic and depth (H, W), normal (3, H, W)."""
    if value is None:
        return None
    array = _array(value)
    if task == "semantic" and array.ndim == 3:
        array = array.argmax(axis=0)
    if task == "depth" and array.ndim == 3:
        array = array[0]
    expected = (3, *size) if task == "normal" else size
    if array.shape != expected:
        raise UsageError(f"panel: {task} has shape {array.shape}, expected {expected} like the image")
    return array


def _colour(task: str, known: AnyArray | None, guess: AnyArray | None) -> tuple[str, list[Picture | None]]:
    """Text to append to the caption, and ground truth and prediction in colours."""
    if task == "semantic":
        return "", [None if one is None else semantic_colours(one) for one in (known, guess)]
    if task == "normal":
        return "", [None if one is None else normal_colours(one) for one in (known, guess)]
    if task == "depth":
        low, high = depth_range([one for one in (known, guess) if one is not None])
        return f", {low:.3g} to {high:.3g}", [
            None if one is None else depth_colours(one, low, high) for one in (known, guess)
        ]
    raise UsageError(f"panel: task {task!r} cannot be drawn. Available: semantic, depth, normal")


def _fit(picture: Picture, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(picture).resize(size, Image.Resampling.NEAREST)


def _legend(maps: Sequence[AnyArray], classes: Sequence[str], size: tuple[int, int]) -> Image.Image:
    """Draw the colours and names of the classes that occur, in as many columns as needed."""
    canvas = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(canvas)
    present = sorted(
        {max(int(index), -1) for one in maps for index in np.unique(one)}, key=lambda index: (index < 0, index)
    )
    rows = max(1, size[1] // CAPTION)
    across = size[0] // max(1, -(-len(present) // rows))
    for place, index in enumerate(present):
        x, y = place // rows * across, place % rows * CAPTION
        draw.rectangle((x, y + 3, x + 11, y + 14), fill=class_colour(index))
        draw.text((x + 16, y + 2), _class_name(index, classes), fill=INK, font=_font())
    return canvas


def _class_name(index: int, classes: Sequence[str]) -> str:
    if index < 0:
        return "void"
    return classes[index] if index < len(classes) else f"class {index}"


def _arrange(columns: Sequence[Sequence[Captioned]], size: tuple[int, int]) -> Picture:
    rows = max(len(column) for column in columns)
    across, down = size[0] + GAP, size[1] + CAPTION
    canvas = Image.new("RGB", (len(columns) * across + GAP, rows * down + GAP), PAPER)
    draw = ImageDraw.Draw(canvas)
    for x, column in enumerate(columns):
        for y, one in enumerate(column):
            corner = (GAP + x * across, y * down)
            draw.text((corner[0], corner[1] + 2), one.caption, fill=INK, font=_font())
            canvas.paste(one.picture, (corner[0], corner[1] + CAPTION))
    return np.asarray(canvas)


def _font() -> Any:
    return ImageFont.load_default(FONT_SIZE)
