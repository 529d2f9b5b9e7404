"""Cityscapes from the folders of its official archives."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.data.importing.cityscapes import LABELS, CityscapesSource, class_of_id, open_cityscapes_source
from rdc_sweeps.data.importing.engine import import_source
from rdc_sweeps.data.roots import open_cityscapes
from rdc_sweeps.data.scene import Dataset
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.dataset import CITYSCAPES_19_CLASSES, CITYSCAPES_CLASSES, CityscapesSpec
from rdc_sweeps.synthetic.streets.scenes import render
from tests.data.importing.official import ID_OF_CLASS, NAMES, place, write_official

SIZE = (32, 64)
TRAIN = ("zurich_000000_000019", "aachen_000001_000019", "aachen_000000_000019")
VAL = ("munster_000000_000019",)


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """Rendered streets of 64x128, in an order that is not the one of their names."""
    for seed, (split, name) in enumerate(
        [*(("train", name) for name in TRAIN), ("val", VAL[0]), ("test", "berlin_0_1")]
    ):
        scene = render(0, seed, (64, 128))
        assert scene.semantic is not None
        assert scene.depth is not None
        write_official(
            tmp_path / "official",
            split,
            name,
            np.round(scene.image * 255).astype(np.uint8),
            ID_OF_CLASS[scene.semantic],
            np.round(scene.depth * 65535).astype(np.uint16),
        )
    return tmp_path / "official"


def source(official: Path, **options: object) -> CityscapesSource:
    return open_cityscapes_source(*(official / name for name in NAMES), size=SIZE, **options)  # type: ignore[arg-type]


def imported(official: Path, out: Path) -> tuple[Dataset, Dataset]:
    import_source(source(official), out, workers=1)
    return open_cityscapes(CityscapesSpec(size=SIZE), out, out)


def semantic(split: Dataset, index: int) -> AnyArray:
    labels = split.scene(index, ["semantic"]).semantic
    assert labels is not None
    return labels


def test_scenes_are_read_back_in_the_order_of_their_names(official: Path, tmp_path: Path) -> None:
    train, val = imported(official, tmp_path / "out")
    assert (len(train), len(val)) == (3, 1)
    for index, name in enumerate(sorted(TRAIN)):
        scene = train.scene(index, train.tasks)
        stored = np.asarray(Image.open(place(official, "leftImg8bit", "train", name)))
        blocks = stored.reshape(32, 2, 64, 2, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(scene.image, blocks / 255, atol=0.51 / 255)
        assert scene.depth is not None
        ids = np.asarray(Image.open(place(official, "gtFine", "train", name)))[1::2, 1::2]
        np.testing.assert_array_equal(scene.semantic, np.where(ids == 3, -1, np.searchsorted(ID_OF_CLASS[:7], ids)))
        raw = np.asarray(Image.open(place(official, "disparity", "train", name)))[1::2, 1::2]
        np.testing.assert_allclose(scene.depth, raw / 65535, rtol=1e-6)


def test_categories_and_training_ids_are_those_of_the_label_table() -> None:
    assert len(LABELS) == 34
    for classes, names in ((7, CITYSCAPES_CLASSES), (19, CITYSCAPES_19_CLASSES)):
        found = class_of_id(classes)  # type: ignore[arg-type]
        assert sorted(set(found.tolist())) == list(range(-1, len(names)))
    by_name = {name: (category, training) for name, category, training in LABELS}
    assert {name: CITYSCAPES_19_CLASSES[training] for name, (_, training) in by_name.items() if training >= 0} == {
        name: name for name in CITYSCAPES_19_CLASSES
    }
    categories = {
        "flat": {"road", "sidewalk", "parking", "rail track"},
        "construction": {"building", "wall", "fence", "guard rail", "bridge", "tunnel"},
        "object": {"pole", "polegroup", "traffic light", "traffic sign"},
        "nature": {"vegetation", "terrain"},
        "sky": {"sky"},
        "human": {"person", "rider"},
        "vehicle": {"car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"},
    }
    assert {
        title: {name for name, (category, _) in by_name.items() if category == place}
        for place, title in enumerate(CITYSCAPES_CLASSES)
    } == categories
    # The benchmark leaves out rare classes that the categories have.
    assert {name for name, (category, training) in by_name.items() if category >= 0 > training} == {
        "parking", "rail track", "guard rail", "bridge", "tunnel", "polegroup", "caravan", "trailer"
    }  # fmt: skip


def test_nineteen_classes_have_a_folder_of_their_own(official: Path, tmp_path: Path) -> None:
    import_source(source(official, classes=19), tmp_path / "out", workers=2)
    spec = CityscapesSpec(size=SIZE, label_classes=19)
    train, _ = open_cityscapes(spec, tmp_path / "out", tmp_path)
    assert train.classes == spec.classes == CITYSCAPES_19_CLASSES
    found = {train.classes[one] for index in range(3) for one in np.unique(semantic(train, index))}
    assert {"road", "building", "vegetation", "sky"} <= found <= {*CITYSCAPES_19_CLASSES}
    with pytest.raises(DataError, match="label_7: no such folder"):
        open_cityscapes(CityscapesSpec(size=SIZE), tmp_path / "out", tmp_path)


def test_all_missing_files_are_listed_at_once(official: Path) -> None:
    gone = [
        place(official, "gtFine", "train", "aachen_000001_000019"),
        place(official, "disparity", "train", "aachen_000001_000019"),
        place(official, "leftImg8bit", "train", "zurich_000000_000019"),
    ]
    for path in gone:
        path.unlink()
    with pytest.raises(DataError) as error:
        source(official)
    assert [line.partition(": ")[0] for line in str(error.value).splitlines() if "no such file" in line] == [
        str(path) for path in gone
    ]
    assert "3 files are missing" in str(error.value)


def test_both_splits_are_needed(official: Path) -> None:
    for path in official.glob("*/val/*/*.png"):
        path.unlink()
    with pytest.raises(DataError, match="leftImg8bit/val: no images\nthe folders are"):
        source(official)


def test_an_image_whose_file_has_changed_is_imported_again(official: Path, tmp_path: Path) -> None:
    import_source(source(official), tmp_path / "out", workers=1)
    path = place(official, "gtFine", "val", VAL[0])
    Image.fromarray(np.full((64, 128), 7, np.uint8)).save(path)
    report = import_source(source(official), tmp_path / "out", workers=1)
    assert (report.kept, report.written) == (3, 1)
    assert (np.load(tmp_path / "out/val/label_7/0.npy") == 0).all()


def swapped(official: Path) -> None:
    (official / "gtFine").rename(official / "other")
    (official / "disparity").rename(official / "gtFine")
    (official / "other").rename(official / "disparity")


def coarse(official: Path) -> None:
    for path in official.glob("gtFine/*/*/*.png"):
        path.rename(path.with_name(path.name.replace("gtFine", "gtCoarse")))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (swapped, r"gtFine/\*/\*/\*_gtFine_labelIds\.png: no such files\n.*\nthe folders are leftImg8bit, gtFine and"),
        (coarse, "has the coarse labels, of gtCoarse"),
        (lambda official: (official / "disparity/val").rename(official / "val"), "disparity/val: no such folder"),
    ],
)
def test_other_folders_are_recognised(official: Path, change: Callable[[Path], object], told: str) -> None:
    change(official)
    with pytest.raises(DataError, match=told):
        source(official)


@pytest.mark.parametrize(
    ("folder", "values", "told"),
    [
        ("gtFine", np.full((64, 128), 255, np.uint8), r"id 255, .*these are training ids \(labelTrainIds\)"),
        ("gtFine", np.full((64, 128), 34, np.uint8), "id 34, but label ids are 0 to 33;"),
        ("gtFine", np.zeros((64, 128, 3), np.uint8), "have 8-bit values"),
        ("disparity", np.ones((64, 128), np.uint8), "values of type uint8 .*have 16-bit values"),
        ("leftImg8bit", np.ones((64, 128), np.uint8), "have 8-bit RGB values"),
        ("disparity", np.ones((32, 64), np.uint16), "disparity.png: 32x64 pixels, but .* has 64x128"),
    ],
)
def test_other_values_are_refused(
    official: Path, tmp_path: Path, folder: str, values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], told: str
) -> None:
    path = place(official, folder, "train", "aachen_000001_000019")
    Image.fromarray(values).save(path)
    with pytest.raises(DataError, match=re.escape(str(path.name)) + "|" + told) as error:
        imported(official, tmp_path / "out")
    assert re.search(told, str(error.value))


def test_real_street_images_are_read_back(shared: Path, tmp_path: Path) -> None:
    """Labels are of Cityscapes, disparities of KITTI, so they do not fit each other."""
    street = shared / "data/street"
    labelled, measured = sorted(street.glob("seg/image/cs_*")), sorted(street.glob("depth/disp_sgm/*.png"))
    written = []
    for number, (path, other) in enumerate(zip(labelled, measured, strict=False)):
        label = np.asarray(Image.open(street / "seg/label" / f"{path.stem}.png"))
        # From 256ths of a pixel at 256 pixels of width to Cityscapes' 256ths at 2048.
        disparity = np.asarray(Image.open(other)).astype(np.uint16) // 8 * 8
        ids = ID_OF_CLASS[np.where(label == 255, 7, label)]
        split = "train" if number < 6 else "val"
        image = np.asarray(Image.open(path).convert("RGB"))
        write_official(tmp_path / "official", split, path.stem.removeprefix("cs_"), image, ids, disparity)
        written.append((image, np.where(label == 255, -1, label.astype(int)), disparity / 65535))
    found = open_cityscapes_source(*(tmp_path / "official" / name for name in NAMES))
    import_source(found, tmp_path / "out", workers=1)
    splits = open_cityscapes(CityscapesSpec(), tmp_path / "out", tmp_path)
    scenes = [split.scene(index, split.tasks) for split in splits for index in range(len(split))]
    assert len(scenes) == len(written) == 8
    for scene, (image, label, fraction) in zip(scenes, written, strict=True):
        np.testing.assert_allclose(scene.image, image / 255, atol=1e-6)
        np.testing.assert_array_equal(scene.semantic, label)
        assert scene.depth is not None
        np.testing.assert_allclose(scene.depth, fraction, rtol=1e-6)
