"""Figures of stored region maps: histograms, and some images with their regions."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rdc_sweeps.files import write_atomically
from rdc_sweeps.regions.drawing import draw_regions
from rdc_sweeps.reporting.figures.folder import created
from rdc_sweeps.reporting.figures.style import COLOURS, USUAL, blank, drawing, encoded, name_lines
from rdc_sweeps.reporting.region_maps import MapsReport

BINS = 30


def write_map_figures(report: MapsReport, folder: Path) -> Iterator[Path]:
    """Draw the figures of a report into a folder; yields the files.

    Raises:
        UsageError: The folder cannot be created.
    """
    created(folder)
    figures: dict[str, Callable[[MapsReport], Figure]] = {"histograms.png": draw_histograms}
    if report.shown:
        figures["images.png"] = draw_images
    for name, draw in figures.items():
        content = encoded(draw(report))
        write_atomically(folder / name, lambda file, content=content: file.write(content))  # type: ignore[misc]
        yield folder / name


def draw_histograms(report: MapsReport) -> Figure:
    """How regions per image, sizes, coverage and, with labels, the achievable accuracy are distributed."""
    with drawing():
        labelled = bool(report.accuracy.size)
        figure = Figure(figsize=(3.2 * (3 + labelled), 2.9), layout="constrained")
        counts, sizes, coverage, *accuracy = figure.subplots(1, 3 + labelled)
        _histogram(counts, report.counts, "regions per image", "images")
        sizes.set_xscale("log")
        sizes.xaxis.set_major_formatter("{x:g}")
        if report.sizes.size:
            edges = np.geomspace(1, max(2, report.sizes.max()), BINS).tolist()
            _histogram(sizes, report.sizes, "pixels of a region", "regions", edges)
            sizes.axvline(report.min_pixels, color=COLOURS[1], linewidth=1, label=f"{report.min_pixels} pixels")
            sizes.legend(fontsize=USUAL - 1, frameon=False)
        _histogram(coverage, 100 * report.coverage, "pixels in a region, %", "images")
        for axes in accuracy:
            _histogram(axes, 100 * report.accuracy, "achievable segmentation accuracy, %", "images")
        figure.suptitle(name_lines(report.title, 100), fontsize=USUAL + 1)
        return figure


def draw_images(report: MapsReport) -> Figure:
    """Images above their regions, in mean colours."""
    with drawing():
        columns = len(report.shown)
        heights = [image.shape[0] / image.shape[1] for image, _ in report.shown]
        figure = Figure(figsize=(3 * columns, 6.4 * max(heights) + 0.6), layout="constrained")
        axes = figure.subplots(2, columns, squeeze=False)
        for (above, below), (image, regions) in zip(axes.T, report.shown, strict=True):
            above.imshow(image, interpolation="nearest")
            below.imshow(draw_regions(image, regions), interpolation="nearest")
            below.set_title(f"{regions.max() + 1} regions", fontsize=USUAL)
            blank(above)
            blank(below)
        figure.suptitle(name_lines(report.title, 25 * columns), fontsize=USUAL + 1)
        return figure


def _histogram(
    axes: Axes, values: NDArray[np.number[Any]], title: str, unit: str, edges: Sequence[float] | int = BINS
) -> None:
    axes.hist(values, bins=edges, color=COLOURS[0])
    axes.set_xlabel(title)
    axes.set_ylabel(unit)
