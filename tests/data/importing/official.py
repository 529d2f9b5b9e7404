"""Street images in the folders of Cityscapes's official archives."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from rdc_sweeps.data.arrays import AnyArray

NAMES = {"leftImg8bit": "leftImg8bit", "gtFine": "gtFine_labelIds", "disparity": "disparity"}
"""The end of file names in each folder."""

ID_OF_CLASS = np.array([7, 11, 17, 21, 23, 24, 26, 3], dtype=np.uint8)
"""A label id of each of the 7 categories, and at last of void: road, building, pole, vegetation, sky, person, car."""


def place(root: Path, folder: str, split: str, name: str) -> Path:
    """The file of an image, such as `aachen_000000_000019`, in one of the three folders."""
    return root / folder / split / name.partition("_")[0] / f"{name}_{NAMES[folder]}.png"


def write_official(root: Path, split: str, name: str, image: AnyArray, ids: AnyArray, disparity: AnyArray) -> None:
    """Write an image (uint8), its label ids (uint8) and its raw disparities (uint16)."""
    for folder, values in zip(NAMES, (image, ids, disparity), strict=True):
        path = place(root, folder, split, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)


def arguments(root: Path, out: Path) -> Iterable[str]:
    """Of `rdc-sweep data import cityscapes`."""
    return [str(root / folder) for folder in NAMES] + [str(out)]
