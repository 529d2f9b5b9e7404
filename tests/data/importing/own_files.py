"""A user's own images and labels: rendered rooms as files of several formats, and their description."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rdc_sweeps.specs.dialect import yaml_text
from rdc_sweeps.synthetic.rooms.scenes import render

SIZE = (64, 96)
CLASSES: dict[str, int | list[int]] = {
    "furniture": [5, 9],
    "wall": 11,
    "floor": [4],
    "other": [0, 1, 2, 3, 6, 7, 8, 10, 12],
}
"""Classes by ids of the files, which are those of `rooms`."""


def description(**changes: Any) -> dict[str, Any]:
    """The fields of the description, with some replaced."""
    fields: dict[str, Any] = {
        "name": "desks",
        "image": {"files": "photos/{scene}/{name}.jpg"},
        "semantic": {"files": "labels/{scene}/{name}.png", "classes": CLASSES, "void": [255]},
        "depth": {"files": "depth/{scene}/{name}_depth.png", "scale": 0.001},
        "normal": {
            "files": "normals/{scene}/{name}.png",
            "encoding": "colours",
            "flip": ["y", "z"],
            "invalid": [[0, 0, 0]],
        },
        "split": {"name": "fraction", "test": 0.25},
    }
    return {**fields, **changes}


def write_description(folder: Path, fields: Mapping[str, Any]) -> Path:
    """Write `desks.yaml` into a folder."""
    path = folder / "desks.yaml"
    path.write_text(yaml_text(dict(fields)), encoding="utf-8")
    return path


def write_files(folder: Path, scenes: int = 4, each: int = 2, ids_of: Sequence[int] = range(13)) -> None:
    """Write images as JPEG, ids with a palette, depth in millimetres, normals as colours with y up and z backward."""
    for number in range(scenes * each):
        rendered = render(0, number, SIZE)
        assert rendered.semantic is not None
        assert rendered.depth is not None
        assert rendered.normal is not None
        ids = np.array(ids_of, dtype=np.uint8)[rendered.semantic]
        ids[:2] = 255
        labels = Image.fromarray(ids, mode="P")
        labels.putpalette([value for one in range(256) for value in (one * 7 % 256, one * 13 % 256, 255 - one)])
        depth = np.round(rendered.depth * 1000).astype(np.uint16)
        depth[-2:] = 0
        normals = np.round((rendered.normal * [1, -1, -1] + 1) * 127.5).astype(np.uint8)
        normals[:, :2] = 0
        name = f"{number % each:02d}"
        for kind, end, image in (
            ("photos", ".jpg", Image.fromarray(np.round(rendered.image * 255).astype(np.uint8))),
            ("labels", ".png", labels),
            ("depth", "_depth.png", Image.fromarray(depth)),
            ("normals", ".png", Image.fromarray(normals)),
        ):
            path = folder / kind / f"office{number // each}" / f"{name}{end}"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
