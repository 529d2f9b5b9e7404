"""The contact sheet of a data root: a few of its scenes to look at, among them those that checks name."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from rdc_sweeps.data import arrays
from rdc_sweeps.data.arrays import AnyArray, Stored, nearest, open_array
from rdc_sweeps.data.checking.findings import DataCheck
from rdc_sweeps.data.fingerprint import spread
from rdc_sweeps.data.scene import VOID
from rdc_sweeps.errors import DataError
from rdc_sweeps.reporting.figures.style import SMALL, drawing, without_ticks
from rdc_sweeps.specs.base import Size
from rdc_sweeps.training.colours import (
    Picture,
    depth_colours,
    depth_range,
    hatching,
    image_colours,
    normal_colours,
    semantic_colours,
)

SUSPECTS, SAMPLES = 8, 3
"""Scenes on the sheet: at most so many that a check names, and so many of each split."""

CELL = 1.7
"""Width of a picture in inches."""

SHARPNESS = 3
"""Pixels of a picture for each of the grid at which checks compare maps."""

MOST_CLASSES = 255
"""Labels above it are drawn as this one."""

SUSPECT = "#d55e00"
"""Colour of the names of scenes that a check names."""


def draw_sheet(check: DataCheck) -> Figure:
    """Scenes with their maps, and with the labels laid over the image; those that checks name come first, in colour.

    Args:
        check: Of a root that is still there. Files that cannot be read are hatched.
    """
    root = Path(check.root)
    suspects, scenes = _scenes(check, root)
    heads = [*check.folders, *(["semantic on image"] if "semantic" in check.folders else [])]
    height, width = check.grid
    size = (SHARPNESS * height, SHARPNESS * width)
    with drawing():
        lines = max(1, len(scenes))
        figure = Figure(
            figsize=(len(heads) * CELL + 0.3, lines * (CELL * height / width + 0.05) + 0.3), layout="constrained"
        )
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)  # type: ignore[union-attr,call-arg]
        cells = figure.subplots(lines, len(heads), squeeze=False)
        for axes, head in zip(cells[0], heads, strict=True):
            axes.set_title(head, fontsize=SMALL, pad=3)
        for line, (split, index) in zip(cells, scenes, strict=False):
            maps = {
                kind: _picture(root / split / folder / f"{index}.npy", kind, size)
                for kind, folder in check.folders.items()
            }
            if "semantic" in maps:
                maps["overlay"] = maps["image"] // 2 + maps["semantic"] // 2
            for axes, picture in zip(line, maps.values(), strict=True):
                axes.imshow(picture, interpolation="nearest")
                without_ticks(axes)
            colour = SUSPECT if (split, index) in suspects else "black"
            line[0].set_ylabel(f"{split} {index}", fontsize=SMALL, color=colour, labelpad=2)
        return figure


def _scenes(check: DataCheck, root: Path) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Split and number of the scenes that checks name, and of all that are shown."""
    named = (place.split("/") for one in check.checks for place in one.places)
    suspects = list(dict.fromkeys((split, int(name.removesuffix(".npy"))) for split, _, name in named))[:SUSPECTS]
    image = check.folders["image"]
    samples = []
    for split in ("train", "val"):
        found = sorted(int(path.stem) for path in (root / split / image).glob("[!.]*.npy") if path.stem.isdecimal())
        samples += [(split, found[place]) for place in spread(len(found), SAMPLES)]
    return suspects, [*suspects, *(one for one in samples if one not in suspects)]


def _picture(path: Path, kind: str, size: Size) -> Picture:
    """A map as it is stored, whatever its unit and encoding; hatched if it cannot be read."""
    try:
        stored = open_array(path)
        if kind == "image":
            return image_colours(arrays.image_of(stored, size).transpose(2, 0, 1))
        values = nearest(_shaped(stored, kind).values, size)
    except DataError:
        return hatching(*size)
    if kind == "semantic":
        return semantic_colours(np.clip(np.nan_to_num(values.astype(np.float64), nan=VOID), VOID, MOST_CLASSES))
    if kind == "normal":
        return normal_colours(values.transpose(2, 0, 1))
    return _depth(values)


def _shaped(stored: Stored, kind: str) -> Stored:
    return arrays.triples(stored) if kind == "normal" else arrays.plane(stored)


def _depth(values: AnyArray) -> Picture:
    return depth_colours(values, *depth_range([values]))
