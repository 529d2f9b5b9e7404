"""Figures of regions: on the image, and as Gaussians in the space of a_theta before and after the training."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from numpy.typing import NDArray

from rdc_sweeps.data.arrays import nearest
from rdc_sweeps.reporting.figures.style import SMALL, USUAL, drawing, name_lines, without_ticks
from rdc_sweeps.training.colours import PALETTE, Picture

if TYPE_CHECKING:
    # It imports PyTorch, which other figures do not need.
    from rdc_sweeps.training.region_features import RegionFeatures

SHOWN_REGIONS = 8
"""The largest regions have a colour and an ellipse; more would cover each other."""

ENLARGED = 480
"""Least height in pixels of the image with regions, so that borders are fine."""

OVERLAY = 0.55
"""Part of a region's colour in the picture."""


def draw_regions(name: str, found: "RegionFeatures", before: "RegionFeatures", image: int) -> Figure:
    """The regions of a training image, and their Gaussians before and after the training.

    Each map of features is projected onto the two principal directions of the features of both maps. A region has the
    same colour everywhere, a full ellipse for the prediction of one task and a broken one for the label of the other,
    each at one standard deviation; a line joins the two means.

    Args:
        name: Of the run.
        found: After the training.
        before: With the initial weights.
        image: Position among the training images.
    """
    with drawing():
        figure = Figure(figsize=(11.5, 4.2), layout="constrained")
        shown, first, second = figure.subplots(1, 3, width_ratios=(1.1, 1, 1))
        shown.imshow(overlay(found), interpolation="nearest")
        _number(shown, found)
        without_ticks(shown)
        shown.set_title(f"training image {image}, {len(found.largest)} regions", fontsize=USUAL)
        for axes, title, one in ((first, "before the training", before), (second, "after the training", found)):
            _draw_gaussians(axes, one)
            hits, chance = nearest_share(one)
            share = f"{100 * hits:.0f} % nearest to themselves, by chance {100 * chance:.0f} %"
            axes.set_title(f"{title}\n{share}", fontsize=USUAL)
            axes.set_xlabel("first principal direction", fontsize=SMALL)
            axes.set_ylabel("second principal direction", fontsize=SMALL)
            axes.tick_params(labelsize=SMALL - 1)
        figure.legend(
            handles=[
                Line2D([], [], color="0.2", label=f"prediction of {found.predicted_task}"),
                Line2D([], [], color="0.2", linestyle="--", label=f"label of {found.labelled_task}"),
            ],
            loc="outside lower center", ncols=2, fontsize=SMALL + 1, frameon=False,
        )  # fmt: skip
        figure.suptitle(name_lines(name, 100), fontsize=USUAL + 1)
        return figure


def overlay(found: "RegionFeatures") -> Picture:
    """The image, enlarged, with the shown regions in colours and the borders of all regions in white."""
    from skimage.segmentation import find_boundaries

    zoom = -(-ENLARGED // found.image.shape[0])
    size = (found.image.shape[0] * zoom, found.image.shape[1] * zoom)
    slots, drawn = nearest(found.slots, size), nearest(found.image, size).astype(np.float64)
    for place, slot in enumerate(shown_regions(found)):
        drawn[slots == slot] = (1 - OVERLAY) * drawn[slots == slot] + OVERLAY * PALETTE[place]
    drawn[find_boundaries(slots, mode="inner", background=-1)] = 255
    return drawn.astype(np.uint8)


def shown_regions(found: "RegionFeatures") -> list[int]:
    """The largest regions; if all have one size, as patches do, some that are spread over the image."""
    slots = found.largest
    if len(slots) > SHOWN_REGIONS and len(set(found.counts[slots].tolist())) == 1:
        return [slots[place * len(slots) // SHOWN_REGIONS] for place in range(SHOWN_REGIONS)]
    return slots[:SHOWN_REGIONS]


def nearest_share(found: "RegionFeatures") -> tuple[float, float]:
    """The share of regions whose mean in the prediction is nearest to their own mean in the label, and that by chance.

    Distances are Euclidean between means in the whole space, among all regions that are compared.
    """
    slots = found.largest
    if not slots:
        return 0.0, 0.0
    predicted, labelled = found.predicted.mean[slots], found.labelled.mean[slots]
    distances = np.linalg.norm(predicted[:, None] - labelled[None], axis=-1)
    return float((distances.argmin(axis=1) == np.arange(len(slots))).mean()), 1 / len(slots)


def principal_directions(found: "RegionFeatures") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean (d,) of the features of both maps, and their two principal directions (2, d).

    The sign of a direction is that of its largest part, so that equal features give equal figures.
    """
    features = np.concatenate([found.predicted.features, found.labelled.features])
    mean = features.mean(axis=0)
    _, _, directions = np.linalg.svd(features - mean, full_matrices=False)
    two = directions[:2]
    signs = np.sign(two[np.arange(len(two)), np.abs(two).argmax(axis=1)])
    return mean, two * signs[:, None]


def _draw_gaussians(axes: Axes, found: "RegionFeatures") -> None:
    mean, directions = principal_directions(found)
    for place, slot in enumerate(shown_regions(found)):
        colour = tuple(PALETTE[place] / 255)
        ends = []
        for gaussians, style in ((found.predicted, "-"), (found.labelled, "--")):
            middle = directions @ (gaussians.mean[slot] - mean)
            axes.add_patch(_ellipse(middle, directions @ gaussians.covariance[slot] @ directions.T, colour, style))
            ends.append(middle)
        axes.plot(*np.transpose(ends), color=colour, linewidth=0.8, marker=".", markersize=3)
    axes.autoscale_view()
    axes.margins(0.08)


def _ellipse(
    middle: NDArray[np.float64], covariance: NDArray[np.float64], colour: tuple[float, ...], style: str
) -> Ellipse:
    variances, axes = np.linalg.eigh(covariance)
    width, height = 2 * np.sqrt(np.maximum(variances[::-1], 0))
    angle = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
    return Ellipse(
        tuple(middle), width, height, angle=angle, fill=False, edgecolor=colour, linestyle=style, linewidth=1.4
    )


def _number(axes: Axes, found: "RegionFeatures") -> None:
    """The numbers of the coloured regions by size, each in the middle of its pixels that is farthest inside."""
    factor = overlay(found).shape[0] / found.slots.shape[0]
    for place, slot in enumerate(shown_regions(found)):
        rows, columns = np.nonzero(found.slots == slot)
        inside = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
        axes.text(
            (columns[inside] + 0.5) * factor, (rows[inside] + 0.5) * factor, str(place + 1),
            ha="center", va="center", fontsize=SMALL, color="white",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "black", "alpha": 0.5, "linewidth": 0},
        )  # fmt: skip
