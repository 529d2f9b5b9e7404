"""The package that makes an imported data set known by its name, written beside the data."""

from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from rdc_sweeps.data.arrays import open_array
from rdc_sweeps.data.importing.own import OwnSource
from rdc_sweeps.files import write_atomically
from rdc_sweeps.specs.base import Size
from rdc_sweeps.specs.dataset import LARGEST_SIDE

FOLDER = "package"
"""In the root of the data set."""

_PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}-data"
version = "1.0"
dependencies = ["rdc-sweeps"]

[project.entry-points."rdc_sweeps.datasets"]
{name} = "{name}_data:{name}"

[tool.hatch.build.targets.wheel]
packages = ["{name}_data"]
"""

_MODULE = '''\
"""What table files may write about the data set {name}; `rdc-sweep data import` wrote this file."""

from typing import ClassVar, Literal

from rdc_sweeps.extend import ByZoom, Extension, Size, StoredImagesSpec, Task


class {title}Spec(StoredImagesSpec):
    """The data set {name}."""

    published: ClassVar[tuple[int, int]] = {counts}
    depth_unit: ClassVar[str] = "{unit}"

    name: Literal["{name}"] = "{name}"
    size: Size = {size}

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks that this data set labels."""
        return {tasks}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the semantic classes, in label order."""
        return {classes}

    @property
    def depth_by_zoom(self) -> ByZoom:
        """How the zoom of a crop changes depth."""
        return "{by_zoom}"


{name} = Extension({title}Spec, "rdc_sweeps.extend:open_stored")
'''


def write_package(root: Path, source: OwnSource) -> Path:
    """Write the package of a data set that was imported into `root`.

    Returns:
        Its folder, for `pip install`.

    Raises:
        DataError: The data set is not there.
    """
    spec = source.spec
    disparity = spec.depth is not None and spec.depth.unit == "disparity"
    values = {
        "name": spec.name,
        "title": "".join(part.capitalize() for part in spec.name.split("_")),
        "counts": (source.counts["train"], source.counts["val"]),
        "unit": "disparity" if disparity else "m",
        "by_zoom": "multiplied" if disparity else "divided",
        "size": _size_of_runs(np.shape(open_array(root / "train" / source.layout.image / "0.npy").values)),
        "tasks": spec.tasks,
        "classes": spec.classes,
    }
    folder = root / FOLDER
    for path, text in ((folder / "pyproject.toml", _PROJECT), (folder / f"{spec.name}_data" / "__init__.py", _MODULE)):
        write_atomically(path, partial(_write, text=text.format(**values)))
    return folder


def _write(file: IO[bytes], text: str) -> None:
    file.write(text.encode())


def _size_of_runs(shape: tuple[int, ...]) -> Size:
    """The multiples of 32 nearest to an image's height and width."""
    height, width = (min(max(32, round(side / 32) * 32), LARGEST_SIDE) for side in shape[:2])
    return height, width
