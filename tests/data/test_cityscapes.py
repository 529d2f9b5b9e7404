from pathlib import Path

import numpy as np
import pytest

from rdc_sweeps.data.label_settings import label_mask
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.dataset import CITYSCAPES_CLASSES, CityscapesSpec, LabelSpec, StreetsSpec
from rdc_sweeps.training.splits import open_splits
from tests.data.street_images import write_streets

SIZE = (32, 64)


def write(root: Path, train: int = 5, val: int = 3) -> Path:
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for folder in ("image", "label_7", "depth"):
            (root / split / folder).mkdir(parents=True)
        for index in range(count):
            np.save(root / split / "image" / f"{index}.npy", rng.random((*SIZE, 3)).astype(np.float32))
            np.save(root / split / "label_7" / f"{index}.npy", rng.integers(-1, 7, SIZE).astype(np.float32))
            np.save(root / split / "depth" / f"{index}.npy", rng.uniform(0, 0.4, (*SIZE, 1)).astype(np.float32))
    return root


def test_scenes_have_seven_classes_and_disparity(tmp_path: Path) -> None:
    root = write(tmp_path / "cityscapes")
    splits = open_splits(CityscapesSpec(size=SIZE, validation_images=2), root=root, cache=tmp_path)
    assert (len(splits.train), len(splits.validation), len(splits.test), splits.training_images) == (3, 2, 3, 5)
    assert splits.train.tasks == ("semantic", "depth")
    assert splits.train.classes == CITYSCAPES_CLASSES
    scene = splits.test.scene(1, splits.test.tasks)
    np.testing.assert_array_equal(scene.semantic, np.load(root / "val/label_7/1.npy"))
    np.testing.assert_array_equal(scene.depth, np.load(root / "val/depth/1.npy")[..., 0])
    assert scene.normal is None


def test_an_eighth_class_is_an_error(tmp_path: Path) -> None:
    root = write(tmp_path / "cityscapes")
    np.save(root / "train/label_7/2.npy", np.full(SIZE, 7))
    splits = open_splits(CityscapesSpec(size=SIZE), root=root, cache=tmp_path)
    with pytest.raises(DataError, match=r"label_7/2\.npy: .*7"):
        splits.train.scene(2, ["semantic"])


def test_cityscapes_needs_its_root(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"set RDC_SWEEP_CITYSCAPES_ROOT \(cityscapes_root in rdc-sweep.toml\)"):
        open_splits(CityscapesSpec(), root=None, cache=tmp_path)
    with pytest.raises(DataError, match="no such folder; set RDC_SWEEP_CITYSCAPES_ROOT"):
        open_splits(CityscapesSpec(), root=tmp_path / "absent", cache=tmp_path)


def test_the_published_numbers_of_images() -> None:
    assert (CityscapesSpec().training_count, CityscapesSpec().test_count) == (2975, 500)
    assert CityscapesSpec(validation_images=75).training_count == 2900
    assert CityscapesSpec().size == (128, 256)


@pytest.mark.parametrize("spec", [CityscapesSpec, StreetsSpec])
def test_disparity_follows_the_zoom_unless_the_released_bug_is_wanted(
    spec: type[CityscapesSpec] | type[StreetsSpec],
) -> None:
    assert spec().depth_by_zoom == "multiplied"
    assert spec(disparity_by_zoom="divided").depth_by_zoom == "divided"


@pytest.mark.parametrize("setting", ["onelabel", "randomlabels"])
def test_with_two_tasks_random_label_is_one_label(setting: str, shared: Path) -> None:
    spec = LabelSpec.model_validate({"setting": setting, "origin": "published"})
    mask = label_mask(spec, CityscapesSpec(), 2975, root=shared / "data/label_settings")
    assert mask.shape == (2975, 2)
    assert (mask.sum(axis=1) == 1).all()
    assert sorted(mask.sum(axis=0).tolist()) == [1487, 1488]


def test_real_street_images_are_read(shared: Path, tmp_path: Path) -> None:
    images = write_streets(shared / "data/street", tmp_path / "cityscapes", tmp_path, train=4, test=2)
    splits = open_splits(CityscapesSpec(), root=tmp_path / "cityscapes", cache=tmp_path)
    mask = label_mask(LabelSpec(setting="onelabel", origin="published"), CityscapesSpec(), images, root=tmp_path)
    assert (len(splits.train), len(splits.test)) == (8, 4)
    for row, (labelled, measured) in enumerate(mask.tolist()):
        scene = splits.train.scene(row, ["semantic", "depth"])
        assert scene.semantic is not None
        assert scene.depth is not None
        assert ((scene.semantic >= 0).mean() > 0.5) == labelled
        assert ((scene.depth > 0).mean() > 0.5) == measured
        assert scene.depth.max() < 1.5
