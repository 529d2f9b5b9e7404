"""Figures of predictions for one test image: beside its labels, and their errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS, MetricName
from rdc_sweeps.reporting.figures.style import (
    ERROR_COLOURS,
    RIGHT,
    SMALL,
    VOID_WHITE,
    WRONG,
    blank,
    drawing,
    name_lines,
    without_ticks,
)
from rdc_sweeps.reporting.images import image_depth_range, picture
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.dataset import ImagesSpec
from rdc_sweeps.training.colours import Picture, class_colour
from rdc_sweeps.training.predictions import ImagePredictions

CELL = 1.9
"""Width of a picture in inches."""

TITLES: Mapping[Task, str] = {"semantic": "semantic", "depth": "depth", "normal": "normals"}


@dataclass(frozen=True)
class ShownRun:
    """A run in a figure.

    Attributes:
        name: Of its side.
        predictions: For the image, and perhaps others.
        scores: Its metrics on the image.
    """

    name: str
    predictions: ImagePredictions
    scores: Mapping[MetricName, float]


def draw_predictions(image: int, runs: Sequence[ShownRun], dataset: ImagesSpec) -> Figure:
    """The input, the labels and the predictions of runs for a test image, a line for each task, with scores.

    Args:
        image: Position in the test split.
        runs: Runs on one data set.
        dataset: That data set.
    """
    with drawing():
        first = runs[0].predictions
        figure, cells = _grid(first, image, ["input", "truth", *(run.name for run in runs)], dataset)
        for line, task in enumerate(first.truth):
            _show(cells[line][1], picture(first, image, "truth", task))
            for axes, run in zip(cells[line][2:], runs, strict=True):
                _show(axes, picture(run.predictions, image, "prediction", task))
                axes.set_xlabel(_score_text(task, run.scores, dataset), fontsize=SMALL, labelpad=2)
            _key(cells[line][0], line, task, runs, image, dataset)
        return figure


def draw_errors(image: int, runs: Sequence[ShownRun], dataset: ImagesSpec) -> Figure:
    """The errors of the predictions of runs for a test image, a line for each task, on one scale; as above."""
    with drawing():
        first = runs[0].predictions
        figure, cells = _grid(first, image, ["input", *(run.name for run in runs)], dataset)
        for line, task in enumerate(first.truth):
            errors = [error_map(task, run.predictions, image) for run in runs]
            most = _largest(errors) if task != "semantic" else 1.0
            for axes, run, error in zip(cells[line][1:], runs, errors, strict=True):
                if task == "semantic":
                    _show(axes, _wrong_classes(error))
                else:
                    axes.imshow(error, cmap=ERROR_COLOURS, vmin=0, vmax=most, interpolation="nearest")
                    without_ticks(axes)
                axes.set_xlabel(_score_text(task, run.scores, dataset), fontsize=SMALL, labelpad=2)
            _error_key(cells[line][0], line, task, most, dataset)
        return figure


def error_map(task: Task, predictions: ImagePredictions, image: int) -> NDArray[np.float32]:
    """The error of each pixel (h, w), NaN where the label is void.

    Semantic: 1 where the class is wrong, 0 where it is right. Depth: the absolute error. Normals: the angle in degrees;
    a prediction of length 0 counts as 90.
    """
    place = predictions.place(image)
    truth, predicted = (maps[task][place] for maps in (predictions.truth, predictions.predicted))
    if task == "semantic":
        return np.where(truth < 0, np.nan, truth != predicted).astype(np.float32)
    truth, predicted = truth.astype(np.float32), predicted.astype(np.float32)
    if task == "depth":
        return np.where(truth > 0, np.abs(predicted - truth), np.nan).astype(np.float32)
    lengths = np.linalg.norm(truth, axis=0) * np.linalg.norm(predicted, axis=0)
    cosine = np.divide((truth * predicted).sum(axis=0), lengths, out=np.zeros_like(lengths), where=lengths > 0)
    angle = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
    return np.where((truth != 0).any(axis=0), angle, np.nan).astype(np.float32)


def _grid(
    first: ImagePredictions, image: int, heads: Sequence[str], dataset: ImagesSpec
) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    """Axes by line and column; the first column has the input and keys to the colours."""
    height, width = dataset.size
    lines = len(first.truth)
    cell_height = CELL * height / width + 0.2
    figure = Figure(figsize=(len(heads) * CELL + 0.2, lines * cell_height + 0.6), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.02, hspace=0.02)  # type: ignore[union-attr,call-arg]
    cells: list[list[Axes]] = figure.subplots(lines, len(heads), squeeze=False).tolist()
    for axes, head in zip(cells[0], heads, strict=True):
        axes.set_title(name_lines(head), fontsize=SMALL + 1, pad=3)
    _show(cells[0][0], picture(first, image, "input"))
    cells[0][0].set_xlabel(f"test image {image}", fontsize=SMALL, labelpad=2)
    for line in cells[1:]:
        blank(line[0])
    for line, task in zip(cells, first.truth, strict=True):
        line[1].set_ylabel(TITLES[task], fontsize=SMALL + 1, labelpad=2)
    return figure, cells


def _show(axes: Axes, drawn: Picture) -> None:
    axes.imshow(drawn, interpolation="nearest")
    without_ticks(axes)


def _score_text(task: Task, scores: Mapping[MetricName, float], dataset: ImagesSpec) -> str:
    name = next(name for name in MAIN_METRICS if METRICS[name].task == task)
    if (value := scores.get(name)) is None:
        return f"{name}: no valid pixel"
    metric = METRICS[name]
    unit = {"degrees": "°"}.get(metric.unit or "", f" {metric.unit or dataset.depth_unit}")
    return f"{name} {metric.text(value)}{unit}"


def _key(axes: Axes, line: int, task: Task, runs: Sequence[ShownRun], image: int, dataset: ImagesSpec) -> None:
    """What the colours of a line mean; the first line's is below the figure, since the input takes its place."""
    if task == "semantic":
        handles = [
            Patch(color=tuple(channel / 255 for channel in class_colour(index)), label=_class_name(index, dataset))
            for index in _classes_shown(runs, image)
        ]
        axes.figure.legend(
            handles=handles, loc="outside lower center", ncols=min(8, 1 + 2 * (len(runs) + 1)), fontsize=SMALL,
            frameon=False, handlelength=1, columnspacing=1,
        )  # fmt: skip
    elif line and task == "depth":
        low, high = image_depth_range(runs[0].predictions, image)
        _colour_bar(axes, "viridis", low, high, f"depth [{dataset.depth_unit}]")
    elif line and task == "normal":
        axes.text(
            0.5, 0.5, "red: x, right\ngreen: y, down\nblue: z, forward",
            ha="center", va="center", fontsize=SMALL, transform=axes.transAxes,
        )  # fmt: skip


def _error_key(axes: Axes, line: int, task: Task, most: float, dataset: ImagesSpec) -> None:
    if task == "semantic":
        colours = {"right": RIGHT, "wrong": WRONG, "void": VOID_WHITE}
        handles = [
            Patch(facecolor=tuple(channel / 255 for channel in colour), edgecolor="0.6", label=name)
            for name, colour in colours.items()
        ]
        axes.figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    elif line:
        label = f"absolute error [{dataset.depth_unit}]" if task == "depth" else "angle [degrees]"
        _colour_bar(axes, ERROR_COLOURS, 0, most, label)


def _colour_bar(axes: Axes, colours: str, low: float, high: float, label: str) -> None:
    inner = axes.inset_axes((0.08, 0.45, 0.84, 0.14))
    bar = axes.figure.colorbar(ScalarMappable(Normalize(low, high), colours), cax=inner, orientation="horizontal")
    bar.set_label(label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL - 1)
    bar.ax.locator_params(nbins=4)


def _classes_shown(runs: Sequence[ShownRun], image: int) -> list[int]:
    """Classes of the truth and the predictions, void last."""
    found = {
        max(int(index), -1)
        for run in runs
        for maps in (run.predictions.truth, run.predictions.predicted)
        for index in np.unique(maps["semantic"][run.predictions.place(image)])
    }
    return sorted(found, key=lambda index: (index < 0, index))


def _class_name(index: int, dataset: ImagesSpec) -> str:
    return "void" if index < 0 else dataset.classes[index]


def _largest(errors: Sequence[NDArray[np.float32]]) -> float:
    """The 98th percentile over all runs, since single outliers would reduce the contrast."""
    values = np.concatenate([error[np.isfinite(error)] for error in errors])
    return max(float(np.percentile(values, 98)), 1e-6) if values.size else 1.0


def _wrong_classes(error: NDArray[np.float32]) -> Picture:
    drawn = np.full((*error.shape, 3), VOID_WHITE, dtype=np.uint8)
    drawn[error == 0] = RIGHT
    drawn[error == 1] = WRONG
    return drawn
