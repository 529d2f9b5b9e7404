"""The interface between the importer of a data set, which reads scenes, and the engine, which writes them."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.data.mtan import MtanLayout

SCENES = "scenes"
"""Key of a description; see `Source.description`."""

Split = Literal["train", "val"]
"""The training and the test split, by the names of their folders."""


class Source(Protocol):
    """A data set as its owners distribute it.

    A source is sent to worker processes by pickle, so it holds paths and settings, and opens files in `scene`.
    """

    @property
    def description(self) -> Mapping[str, Any]:
        """What determines the written files, as plain JSON: name, settings, digests of the source's files, and a number
        that increases whenever the importer writes other values. Where to it is imported, and from where, is not in it.
        An import is continued only if this is equal, except for SCENES, which a source may have: of each split, a list
        with a digest of what is read for each scene. Of these, only scenes that have changed are imported again."""
        ...

    @property
    def layout(self) -> MtanLayout:
        """Folders to write, for the tasks that the source has labels for."""
        ...

    @property
    def counts(self) -> Mapping[Split, int]:
        """Number of images of each split."""
        ...

    def scene(self, split: Split, index: int) -> Mapping[str, AnyArray]:
        """Read one scene: `image` and one array for each task of the layout, with the shapes, units and values of
        `rdc_sweeps.data.scene.Scene`, all at one resolution.

        Each is stored in its own type. Prefer small ones: images uint8 (0 to 255), labels int8, depth and normals
        float32 or what holds them exactly.

        Raises:
            DataError: A file of the source is damaged.
        """
        ...
