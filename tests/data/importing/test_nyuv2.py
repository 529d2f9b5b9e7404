"""NYU-V2 from nyu_depth_v2_labeled.mat: what is written, and which files are refused."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from rdc_sweeps.data.arrays import AnyArray, nearest
from rdc_sweeps.data.importing.engine import import_source
from rdc_sweeps.data.importing.nyuv2 import NyuV2Source, open_nyuv2_source
from rdc_sweeps.data.importing.nyuv2_facts import class_of_label, official_split
from rdc_sweeps.data.roots import open_nyuv2
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.dataset import NYU_40_CLASSES, NYU_CLASSES, NyuV2Spec
from tests.data.importing.labelled import TEST, TRAIN, Labelled, photographed, write_labelled, write_splits

SIZE = (96, 128)


def opened(files: Path, **options: Any) -> NyuV2Source:
    return open_nyuv2_source(files / "labeled.mat", splits=files / "splits.mat", **{"size": SIZE, **options})


def angle(found: AnyArray, wanted: AnyArray) -> AnyArray:
    valid = found.any(axis=2)
    degrees: AnyArray = np.degrees(np.arccos(np.clip((found * wanted).sum(axis=2)[valid], -1, 1)))
    return degrees


def test_runs_read_what_the_file_has(files: Path, scenes: list[Labelled], tmp_path: Path) -> None:
    import_source(opened(files, cropped=False), tmp_path / "out", workers=1)
    train, val = open_nyuv2(NyuV2Spec(size=SIZE), tmp_path / "out", tmp_path)
    assert (len(train), len(val)) == (2, 1)
    for split, numbers in ((train, TRAIN), (val, TEST)):
        for index, number in enumerate(numbers):
            wanted, scene = scenes[number - 1], split.scene(index, split.tasks)
            assert scene.semantic is not None
            assert scene.normal is not None
            assert wanted.normal is not None
            small = wanted.image.astype(np.float64).reshape(96, 5, 128, 5, 3).mean(axis=(1, 3))
            assert np.abs(scene.image * 255 - small).max() <= 1
            np.testing.assert_array_equal(scene.semantic, class_of_label(13)[nearest(wanted.labels, SIZE)])
            np.testing.assert_array_equal(scene.depth, nearest(wanted.depth, SIZE))


def test_normals_are_those_of_the_scene(files: Path, scenes: list[Labelled]) -> None:
    """The Kinect's principal point is not in the middle, as that of rooms is: a small error remains everywhere."""
    for size in ((144, 192), (125, 100)):
        source = opened(files, size=size, cropped=False)
        wanted = scenes[TEST[0] - 1].normal
        assert wanted is not None
        errors = angle(source.scene("val", 0)["normal"], nearest(wanted, size))
        assert np.median(errors) < 1.5
        assert errors.size > 0.9 * size[0] * size[1]


def test_the_border_is_cut_off_all_arrays(files: Path, scenes: list[Labelled]) -> None:
    scene = opened(files, size=(427, 561)).scene("val", 0)
    wanted = scenes[TEST[0] - 1]
    np.testing.assert_array_equal(scene["image"], wanted.image[44:471, 40:601])
    np.testing.assert_array_equal(scene["depth"], wanted.depth[44:471, 40:601])
    np.testing.assert_array_equal(scene["semantic"], class_of_label(13)[wanted.labels[44:471, 40:601]])
    whole = opened(files, size=(480, 640), cropped=False).scene("val", 0)["normal"][44:471, 40:601]
    # Windows are cut at the border of an image, and a little larger in a higher one.
    inside = (slice(40, -40), slice(40, -40))
    assert np.median(angle(scene["normal"][inside], whole[inside])) < 0.5


def test_measured_depth_has_holes_and_normals_have_them_too(files: Path, scenes: list[Labelled]) -> None:
    scene = opened(files, depth="raw", cropped=False).scene("val", 0)
    hole = nearest(scenes[TEST[0] - 1].raw, SIZE) == 0
    assert hole.any()
    np.testing.assert_array_equal(scene["depth"] == 0, hole)
    assert not scene["normal"][hole].any()


def test_40_classes_are_read_as_such(files: Path, scenes: list[Labelled], tmp_path: Path) -> None:
    import_source(opened(files, classes=40, cropped=False), tmp_path / "out", workers=1)
    spec = NyuV2Spec(size=SIZE, label_classes=40)
    _, val = open_nyuv2(spec, tmp_path / "out", tmp_path)
    assert val.classes == spec.classes == NYU_40_CLASSES
    np.testing.assert_array_equal(
        val.scene(0, ["semantic"]).semantic, class_of_label(40)[nearest(scenes[TEST[0] - 1].labels, SIZE)]
    )
    with pytest.raises(DataError, match="label: no such folder"):
        open_nyuv2(NyuV2Spec(size=SIZE), tmp_path / "out", tmp_path)


def test_the_spec_of_13_classes_is_what_it_was() -> None:
    assert "label_classes" not in NyuV2Spec().model_dump_json()
    assert NyuV2Spec().classes == NYU_CLASSES


@pytest.mark.parametrize(
    ("label", "forty", "thirteen"),
    [
        (21, "wall", "wall"),
        (11, "floor", "floor"),
        (4, "ceiling", "ceiling"),
        (157, "bed", "bed"),
        (5, "chair", "chair"),
        (83, "sofa", "sofa"),
        (19, "table", "table"),
        (36, "desk", "table"),
        (28, "door", "wall"),
        (59, "window", "window"),
        (89, "curtain", "window"),
        (64, "picture", "picture"),
        (85, "books", "books"),
        (172, "television", "tv"),
        (143, "floor mat", "floor"),
        (3, "cabinet", "furniture"),
        (119, "pillow", "objects"),
        (2, "other prop", "objects"),
        (8, "other structure", "objects"),
        (12, "other furniture", "furniture"),
        (894, "other prop", "objects"),
    ],
)
def test_labels_have_their_published_classes(label: int, forty: str, thirteen: str) -> None:
    assert NYU_40_CLASSES[class_of_label(40)[label]] == forty
    assert NYU_CLASSES[class_of_label(13)[label]] == thirteen


def test_classes_of_labels_have_the_published_numbers() -> None:
    assert class_of_label(40)[0] == class_of_label(13)[0] == -1
    assert np.bincount(class_of_label(40)[1:]).tolist() == [1] * 37 + [68, 82, 707]
    assert np.bincount(class_of_label(13)[1:]).tolist() == [1, 1, 1, 1, 2, 89, 789, 1, 1, 2, 1, 2, 3]


def test_the_official_split_divides_the_images() -> None:
    training, test = official_split()
    assert (len(training), len(test)) == (795, 654)
    assert sorted(training + test) == list(range(1, 1450))
    assert list(training) == sorted(training)
    assert test[:10] == (1, 2, 9, 14, 15, 16, 17, 18, 21, 28)


def test_the_official_split_is_that_of_real_files(shared: Path) -> None:
    with (shared / "data/nyuv2/index.csv").open() as file:
        rows = list(csv.DictReader(file))
    for split, numbers in zip(("train", "val"), official_split(), strict=True):
        assert tuple(int(row["nyu_id_1based"]) for row in rows if row["split"] == split) == numbers


def test_real_images_are_imported(shared: Path, tmp_path: Path) -> None:
    pairs = [("train", 0), ("train", 400), ("val", 1)]
    write_labelled(tmp_path / "labeled.mat", [photographed(shared, *pair) for pair in pairs])
    write_splits(tmp_path / "splits.mat", (1, 2), (3,))
    import_source(opened(tmp_path, size=(288, 384), cropped=False), tmp_path / "out", workers=1)
    train, val = open_nyuv2(NyuV2Spec(), tmp_path / "out", tmp_path)
    scenes = [train.scene(0, train.tasks), train.scene(1, train.tasks), val.scene(0, val.tasks)]
    for (split, index), scene in zip(pairs, scenes, strict=True):
        folder = shared / "data/nyuv2" / split
        labels = np.asarray(Image.open(folder / f"label/{index}.png")).astype(np.int16)
        np.testing.assert_array_equal(scene.semantic, np.where(labels == 255, -1, labels))
        image = np.asarray(Image.open(folder / f"image/{index}.jpg")).astype(np.float32) / 255
        assert np.abs(scene.image - image).mean() < 0.02
        assert scene.normal is not None
        assert scene.normal.any(axis=2).mean() > 0.85


def _replace(path: Path, name: str, values: AnyArray | None) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
        if values is not None:
            file[name] = values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_bytes(b""), "truncated, or not a MATLAB v7.3 file"),
        (lambda path: path.write_bytes(path.read_bytes()[:100_000]), "truncated, or not a MATLAB v7.3 file"),
        (lambda path: write_splits(path, [1], [2]), "a MATLAB v5 file"),
        (lambda path: _replace(path, "labels", None), r"has no array labels; it has #refs#, depths"),
        (
            lambda path: _replace(path, "depths", np.ones((3, 48, 64), np.float32)),
            r"depths has shape \(3, 48, 64\), expected \(3, 640, 480\)",
        ),
        (
            lambda path: _replace(path, "images", np.ones((3, 64, 48, 3), np.uint8)),
            r"images has shape \(3, 64, 48, 3\), expected \(3, 3, 640, 480\)",
        ),
        (
            lambda path: _replace(path, "labels", np.ones((3, 640, 480), np.int8)),
            "labels has values of type int8, expected uint16",
        ),
    ],
)
def test_another_file_is_refused(files: Path, tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    change(tmp_path / "labeled.mat")
    with pytest.raises(DataError, match=message) as caught:
        opened(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'labeled.mat'}: ")
    assert "nyu_depth_v2_labeled.mat, see `rdc-sweep data where nyuv2`" in str(caught.value)


def test_a_damaged_image_is_named_and_others_are_kept(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "labeled.mat"
    shutil.copy(files / "labeled.mat", path)
    with h5py.File(path) as file:
        first = file["images"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[first + 20 : first + 60] = bytes(40)
    path.write_bytes(content)
    write_splits(tmp_path / "splits.mat", (3, 2), (1,))
    with pytest.raises(DataError, match=r"images is damaged at element 1 .*; download the file again"):
        import_source(opened(tmp_path), tmp_path / "out", workers=1)
    assert (tmp_path / "out/train/normal/0.npy").exists()
    assert not (tmp_path / "out/train/image/1.npy").exists()


def test_other_labels_are_refused(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    _replace(tmp_path / "labeled.mat", "labels", np.full((3, 640, 480), 895, np.uint16))
    with pytest.raises(DataError, match="image 1 has label 895, but labels are 0 to 894"):
        opened(tmp_path).scene("val", 0)


def test_an_array_in_another_file_is_not_read(files: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "labeled.mat", "w") as file:
        for name in ("images", "labels", "depths"):
            file[name] = h5py.ExternalLink(str(files / "labeled.mat"), name)
    with pytest.raises(DataError, match="images is not an array in this file"):
        open_nyuv2_source(tmp_path / "labeled.mat")


def test_without_a_split_the_file_must_be_whole(files: Path) -> None:
    with pytest.raises(DataError, match=r"has 3 images, but the official split is of 1449.*--splits"):
        open_nyuv2_source(files / "labeled.mat")


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ((1, 2), (2,), "2 training and 1 test images, from 1 to 2; they must be different numbers from 1 to 3"),
        ((0, 2), (1,), "from 0 to 2"),
        ((1, 2), (4,), "from 1 to 4"),
        ((1, 2), (), "2 training and 0 test images"),
    ],
)
def test_a_wrong_split_is_refused(
    files: Path, tmp_path: Path, train: tuple[int, ...], test: tuple[int, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        open_nyuv2_source(files / "labeled.mat", splits=write_splits(tmp_path / "splits.mat", train, test))


def test_a_split_of_another_kind_is_refused(files: Path, tmp_path: Path) -> None:
    (tmp_path / "splits.mat").write_text("1 2 3")
    with pytest.raises(DataError, match=r"splits\.mat: damaged, or not a MATLAB v5 file"):
        open_nyuv2_source(files / "labeled.mat", splits=tmp_path / "splits.mat")
    with pytest.raises(DataError, match=r"labeled\.mat: damaged, or not a MATLAB v5 file"):
        open_nyuv2_source(files / "labeled.mat", splits=files / "labeled.mat")


def test_the_description_tells_files_and_settings_apart(files: Path, tmp_path: Path) -> None:
    first = opened(files).description
    assert first == opened(files).description
    copy = tmp_path / "copy.mat"
    copy.write_bytes((files / "labeled.mat").read_bytes())
    assert open_nyuv2_source(copy, size=SIZE, splits=files / "splits.mat").description == first
    changes: list[dict[str, Any]] = [{"size": (32, 64)}, {"cropped": False}, {"depth": "raw"}, {"classes": 40}]
    others = [opened(files, **change).description for change in changes]
    others.append(
        open_nyuv2_source(
            files / "labeled.mat", size=SIZE, splits=write_splits(tmp_path / "other.mat", (3, 2), (1,))
        ).description
    )
    assert all(other != first for other in others)
