"""Maps of normals that others have computed, in both folders that are distributed."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from rdc_sweeps.data.arrays import AnyArray, nearest
from rdc_sweeps.data.importing.nyuv2 import NyuV2Source, open_nyuv2_source
from rdc_sweeps.errors import DataError
from tests.data.importing.labelled import NATIVE, TEST, TRAIN, Labelled

SIZE = (96, 128)


def encoded(normal: AnyArray, axes: tuple[int, ...], signs: tuple[int, ...]) -> AnyArray:
    """A map whose channel k is the component `axes[k]`, negated if `signs[k]` is -1."""
    values: AnyArray = np.round(127.5 * (normal[..., axes] * np.array(signs) + 1)).astype(np.uint8)
    return values


def write_maps(
    folder: Path,
    scenes: list[Labelled],
    *,
    masked: bool,
    axes: tuple[int, ...] = (0, 1, 2),
    signs: tuple[int, ...] = (1, 1, 1),
) -> Path:
    """The exact normals of scenes, as those of Eigen et al. (with masks) or of Ladicky et al."""
    for split, numbers in (("train", TRAIN), ("test", TEST)):
        for number in numbers:
            normal = scenes[number - 1].normal
            assert normal is not None
            stored = encoded(normal, axes, signs)
            path = (
                folder / ("normals" if masked else split) / (f"{number - 1:04d}.png" if masked else f"{number:05d}.png")
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(stored).save(path)
            if masked:
                mask = np.full(NATIVE, 255, np.uint8)
                mask[:100] = 0
                (folder / "masks").mkdir(exist_ok=True)
                Image.fromarray(mask).save(folder / "masks" / path.name)
    return folder


def opened(files: Path, normals: Path) -> NyuV2Source:
    return open_nyuv2_source(
        files / "labeled.mat", splits=files / "splits.mat", size=SIZE, cropped=False, normals=normals
    )


@pytest.mark.parametrize(
    ("masked", "axes", "signs"),
    [
        (False, (2, 1, 0), (1, 1, 1)),  # as in a published map of Ladicky et al.
        (True, (0, 2, 1), (1, 1, -1)),
        (True, (0, 1, 2), (-1, -1, -1)),
    ],
)
def test_axes_are_recognised(
    files: Path,
    scenes: list[Labelled],
    tmp_path: Path,
    masked: bool,
    axes: tuple[int, ...],
    signs: tuple[int, ...],
) -> None:
    source = opened(files, write_maps(tmp_path / "maps", scenes, masked=masked, axes=axes, signs=signs))
    for split, numbers in source.numbers.items():
        for index, number in enumerate(numbers):
            found, wanted = source.scene(split, index)["normal"], scenes[number - 1].normal
            assert wanted is not None
            wanted = nearest(wanted, SIZE)
            if masked:
                assert not found[:20].any()
                found, wanted = found[20:], wanted[20:]
            assert ((found * wanted).sum(axis=2) > 0.999).all()


def test_maps_of_other_images_are_refused(files: Path, scenes: list[Labelled], tmp_path: Path) -> None:
    folder = write_maps(tmp_path / "maps", scenes, masked=False)
    for path in folder.rglob("*.png"):
        Image.fromarray(np.roll(np.asarray(Image.open(path)), 240, axis=0)[:, ::-1, [0, 2, 1]]).rotate(90).resize(
            NATIVE[::-1]
        ).save(path)
    with pytest.raises(DataError, match=r"these normals do not agree with the depth of the images \(mean cosine 0\."):
        opened(files, folder)


def test_axes_that_cannot_be_told_apart_are_refused(files: Path, tmp_path: Path) -> None:
    """Walls that face the camera do not tell x from y."""
    shutil.copytree(files, tmp_path / "flat")
    with h5py.File(tmp_path / "flat/labeled.mat", "r+") as file:
        file["depths"][:] = 2
    wall = np.broadcast_to(np.array([0.0, 0.0, -1.0]), (*NATIVE, 3))
    for path in ("train/00002", "train/00003", "test/00001"):
        (tmp_path / "maps" / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(encoded(wall, (0, 1, 2), (1, 1, 1))).save(tmp_path / "maps" / f"{path}.png")
    with pytest.raises(DataError, match=r"\(mean cosine 1\.00, 1\.00 with the next order of axes\)"):
        opened(tmp_path / "flat", tmp_path / "maps")


def test_all_missing_maps_are_counted(files: Path, scenes: list[Labelled], tmp_path: Path) -> None:
    folder = write_maps(tmp_path / "maps", scenes, masked=True)
    (folder / "masks/0001.png").unlink()
    (folder / "normals/0000.png").unlink()
    with pytest.raises(
        DataError, match=r"2 files are missing, the first is .*/masks/0001\.png; name the unpacked folder"
    ):
        opened(files, folder)
    with pytest.raises(DataError, match=r"3 files are missing, the first is .*/train/00002\.png"):
        opened(files, tmp_path / "nowhere")


def test_a_map_of_another_kind_is_named(files: Path, scenes: list[Labelled], tmp_path: Path) -> None:
    folder = write_maps(tmp_path / "maps", scenes, masked=False)
    path = folder / "train/00002.png"
    Image.new("RGB", (64, 48)).save(path)
    with pytest.raises(DataError, match=r"00002\.png: shape \(48, 64, 3\) of uint8, expected \(480, 640, 3\) of uint8"):
        opened(files, folder)


def test_the_description_tells_maps_apart(files: Path, scenes: list[Labelled], tmp_path: Path) -> None:
    one = opened(files, write_maps(tmp_path / "one", scenes, masked=False)).description
    assert one == opened(files, write_maps(tmp_path / "same", scenes, masked=False)).description
    assert (
        one["normals"] != open_nyuv2_source(files / "labeled.mat", splits=files / "splits.mat").description["normals"]
    )
    other = write_maps(tmp_path / "other", scenes, masked=False, axes=(2, 1, 0))
    assert one != opened(files, other).description
