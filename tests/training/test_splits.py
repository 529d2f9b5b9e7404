from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.dataset import NyuV2Spec, RoomsSpec
from rdc_sweeps.training.splits import open_splits
from tests.data.conftest import write_mtan

__all__ = ["write_mtan"]

WriteMtan = Callable[..., Path]
SIZE = (32, 64)


def test_validation_is_the_end_of_the_training_split(write_mtan: WriteMtan, tmp_path: Path) -> None:
    root = write_mtan(train=10, val=4)
    splits = open_splits(NyuV2Spec(size=SIZE, validation_images=3), root=root, cache=tmp_path)
    assert splits.train_indices.tolist() == list(range(7))
    assert splits.validation_indices.tolist() == [7, 8, 9]
    assert splits.training_images == 10
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (7, 3, 4)
    np.testing.assert_array_equal(splits.validation.image(0), np.load(root / "train/image/7.npy"))
    np.testing.assert_array_equal(splits.test.image(0), np.load(root / "val/image/0.npy"))


def test_fewer_images_are_spread_evenly(write_mtan: WriteMtan, tmp_path: Path) -> None:
    root = write_mtan(train=12, val=5)
    spec = NyuV2Spec(size=SIZE, validation_images=3, train_images=3, test_images=2)
    splits = open_splits(spec, root=root, cache=tmp_path)
    assert splits.train_indices.tolist() == [0, 3, 6]
    assert splits.validation_indices.tolist() == [9, 10, 11]
    np.testing.assert_array_equal(splits.train.image(2), np.load(root / "train/image/6.npy"))
    np.testing.assert_array_equal(splits.test.image(1), np.load(root / "val/image/2.npy"))


def test_there_are_no_validation_images_by_default(write_mtan: WriteMtan, tmp_path: Path) -> None:
    splits = open_splits(NyuV2Spec(size=SIZE), root=write_mtan(), cache=tmp_path)
    assert len(splits.validation) == 0
    assert splits.train_indices.tolist() == list(range(6))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (NyuV2Spec(size=SIZE, train_images=7), r"dataset.train_images is 7, but there are only 6"),
        (NyuV2Spec(size=SIZE, test_images=4), r"dataset.test_images is 4, but there are only 3"),
        (NyuV2Spec(size=SIZE, validation_images=6), r"validation_images is 6, but the training split has 6 images"),
    ],
)
def test_too_many_images_are_an_error(write_mtan: WriteMtan, tmp_path: Path, spec: NyuV2Spec, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_splits(spec, root=write_mtan(), cache=tmp_path)


def test_nyuv2_needs_its_root(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"set RDC_SWEEP_NYUV2_ROOT \(nyuv2_root in rdc-sweep.toml\)"):
        open_splits(NyuV2Spec(), root=None, cache=tmp_path)
    with pytest.raises(DataError, match=r"absent: no such folder; set RDC_SWEEP_NYUV2_ROOT"):
        open_splits(NyuV2Spec(), root=tmp_path / "absent", cache=tmp_path)


def test_rooms_need_no_root(tmp_path: Path) -> None:
    spec = RoomsSpec(size=SIZE, train_images=4, validation_images=2, test_images=3)
    splits = open_splits(spec, root=None, cache=tmp_path)
    assert (len(splits.train), len(splits.validation), len(splits.test), splits.training_images) == (4, 2, 3, 6)
    assert splits.validation_indices.tolist() == [4, 5]
    images = [
        dataset.image(index).tobytes()
        for dataset in (splits.train, splits.validation, splits.test)
        for index in range(len(dataset))
    ]
    assert len(set(images)) == 9


def test_more_training_rooms_leave_the_test_rooms_as_they_are(tmp_path: Path) -> None:
    small, large = (
        open_splits(RoomsSpec(size=SIZE, train_images=count, test_images=2), root=None, cache=tmp_path)
        for count in (2, 5)
    )
    np.testing.assert_array_equal(small.test.image(1), large.test.image(1))
    np.testing.assert_array_equal(small.train.image(1), large.train.image(1))
