"""Maps of the normals of NYU-V2 that others have computed: those of Eigen et al. and of Ladicky et al."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import numpy as np

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.data.fingerprint import files_digest
from rdc_sweeps.data.importing.pixels import read_pixels
from rdc_sweeps.data.importing.source import Split
from rdc_sweeps.data.scene import Floats
from rdc_sweeps.errors import DataError

SIZE = (480, 640)

DEGENERATE = 0.5
"""Length of a decoded normal up to which it means that there is none."""

ALIKE, MARGIN = 0.7, 0.1
"""Mean cosine of maps and fitted normals from which on they are of the same images, and by how much it must be larger
than with any other order of axes."""


@dataclass(frozen=True)
class NormalMaps:
    """A folder of maps, 127.5 (n + 1) for each component of a normal n.

    Attributes:
        folder: normals_gt of Eigen et al., with normals/0000.png and masks/0000.png, or nyu_normals_gt of Ladicky et
            al., with train/00003.png and test/00001.png.
        axes: The channel of x, of y and of z.
        signs: Of these channels.
    """

    folder: Path
    axes: tuple[int, ...] = (0, 1, 2)
    signs: tuple[int, ...] = (1, 1, 1)

    @property
    def masked(self) -> bool:
        """Whether this is the folder of Eigen et al., where masks say which pixels have a normal."""
        return (self.folder / "normals").is_dir()

    def files(self, split: Split, number: int) -> list[Path]:
        """The map of an image, whose number counts from 1, and its mask if it has one."""
        if self.masked:
            return [self.folder / name / f"{number - 1:04d}.png" for name in ("normals", "masks")]
        return [self.folder / ("train" if split == "train" else "test") / f"{number:05d}.png"]

    def digest(self, numbers: Mapping[Split, Iterable[int]]) -> str:
        """A digest of all files of these images, and of how they are read."""
        files = {
            f"{path.parent.name}/{path.name}": path
            for split, some in numbers.items()
            for number in some
            for path in self.files(split, number)
        }
        return f"{files_digest(files)} {self.axes} {self.signs}"

    def read(self, split: Split, number: int) -> Floats:
        """The normals of an image, (480, 640, 3), (0, 0, 0) where there is none.

        Raises:
            DataError: A file is missing, damaged, or of another kind.
        """
        path, *masks = self.files(split, number)
        channels = _read(path, 3).astype(np.float32) / np.float32(127.5) - 1
        normal = channels[..., self.axes] * np.array(self.signs, np.float32)
        length = np.sqrt(np.square(normal).sum(axis=2, keepdims=True))
        valid = length > DEGENERATE
        for mask in masks:
            valid &= _read(mask, 2)[..., None] > 0
        return np.where(valid, normal / np.maximum(length, DEGENERATE), 0).astype(np.float32)

    def recognised(self, pairs: Iterable[tuple[Floats, Floats]]) -> "NormalMaps":
        """With the order and signs of the axes that agree with fitted normals: they are documented nowhere.

        Args:
            pairs: For some images, what `read` returns, and normals fitted to depth.

        Raises:
            DataError: They do not agree, or not with one order alone.
        """
        moments, count = np.zeros((3, 3)), 0
        for stored, fitted in pairs:
            valid = stored.any(axis=2) & fitted.any(axis=2)
            moments += stored[valid].T.astype(np.float64) @ fitted[valid]
            count += int(valid.sum())
        moments /= max(1, count)
        scores = {axes: sum(abs(moments[axis, to]) for to, axis in enumerate(axes)) for axes in permutations(range(3))}
        (best, score), (_, second), *_ = sorted(scores.items(), key=lambda item: -item[1])
        if score < ALIKE or score - second < MARGIN:
            raise DataError(
                f"{self.folder}: these normals do not agree with the depth of the images (mean cosine {score:.2f}, "
                f"{second:.2f} with the next order of axes); they are of other images, or damaged"
            )
        return replace(self, axes=best, signs=tuple(int(np.sign(moments[axis, to])) for to, axis in enumerate(best)))


def open_normal_maps(folder: Path, numbers: Mapping[Split, Iterable[int]]) -> NormalMaps:
    """Find the maps of the images of both splits.

    Raises:
        DataError: Files are missing.
    """
    maps = NormalMaps(folder)
    missing = [
        path
        for split, some in numbers.items()
        for number in some
        for path in maps.files(split, number)
        if not path.is_file()
    ]
    if missing:
        raise DataError(
            f"{folder}: {len(missing)} files are missing, the first is {missing[0]}; name the unpacked folder "
            "normals_gt (with normals/ and masks/) or nyu_normals_gt (with train/ and test/)"
        )
    return maps


def _read(path: Path, dimensions: int) -> AnyArray:
    values = read_pixels(path, colours=dimensions == 3)
    expected = (*SIZE, 3)[:dimensions]
    if values.shape != expected or values.dtype != np.uint8:
        raise DataError(
            f"{path}: shape {values.shape} of {values.dtype}, expected {expected} of uint8; unpack it again"
        )
    return values
