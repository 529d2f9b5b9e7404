"""Fingerprints of data sets, and the words for what has changed."""

import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.data import fingerprint
from rdc_sweeps.data.fingerprint import files_digest, split_record
from rdc_sweeps.data.mtan import NYUV2_LAYOUT, open_mtan
from rdc_sweeps.data.provenance import DataRecord, SplitRecord, difference
from rdc_sweeps.data.scene import Scene
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.dataset import RoomsSpec
from rdc_sweeps.synthetic.rooms.scenes import ROOMS

WriteMtan = Callable[..., Path]


def found(root: Path, split: str = "train") -> SplitRecord:
    return split_record(open_mtan(root / split, NYUV2_LAYOUT, (32, 64), "SETTING"))


def test_a_copy_elsewhere_and_new_times_are_the_same_data(
    write_mtan: WriteMtan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_mtan()
    first = found(root)
    assert first.images == 6
    assert set(first.means) == {"image", "label", "depth", "normal"}
    assert 3 < first.means["depth"] < 6
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    for path in copy.rglob("*.npy"):
        os.utime(path, (1, 1))
    monkeypatch.setattr(fingerprint, "READERS", 1)
    monkeypatch.setattr(fingerprint, "CHUNK", 1)
    assert found(copy) == first
    assert found(root, "val") != first


@pytest.mark.parametrize("folder", NYUV2_LAYOUT.folders)
@pytest.mark.parametrize("index", [0, 3, 5])
def test_each_file_counts(write_mtan: WriteMtan, folder: str, index: int) -> None:
    root = write_mtan()
    first = found(root)
    path = root / "train" / folder / f"{index}.npy"
    array = np.load(path)
    np.save(path, array[::-1])
    flipped = found(root)
    assert flipped.digest != first.digest
    np.save(path, array.astype(np.float64))
    assert found(root).digest not in {first.digest, flipped.digest}
    np.save(path, array)
    assert found(root) == first


def test_files_that_swapped_places_are_other_data(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    first = found(root)
    one, two = (root / "train/label" / name for name in ("1.npy", "2.npy"))
    one.rename(root / "x")
    two.rename(one)
    (root / "x").rename(two)
    assert found(root).digest != first.digest


def test_means_are_finite(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    np.save(root / "train/depth/0.npy", np.full((32, 64), np.nan))
    np.save(root / "train/depth/5.npy", np.full((32, 64), np.inf))
    assert 3 < found(root).means["depth"] < 6


def test_a_file_that_is_gone_is_an_error(write_mtan: WriteMtan) -> None:
    root = write_mtan(train=20)
    split = open_mtan(root / "train", NYUV2_LAYOUT, (32, 64), "SETTING")
    (root / "train/depth/9.npy").unlink()
    with pytest.raises(DataError, match=r"depth/9\.npy: cannot be read \(No such file"):
        split.fingerprint()


def test_rendered_scenes_are_known_without_rendering_them(tmp_path: Path) -> None:
    specs = [
        RoomsSpec(),
        RoomsSpec(),
        RoomsSpec(seed=1),
        RoomsSpec(size=(64, 96)),
        RoomsSpec(train_images=99),
    ]
    digests = [split_record(ROOMS.splits(spec, tmp_path)[0]).digest for spec in specs]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4
    assert not list(tmp_path.iterdir())


class Flat:
    """A data set of another package, without a fingerprint of its own."""

    tasks: tuple[Task, ...] = ("depth",)
    classes = ("all",)
    size = (4, 6)

    def __init__(self, count: int, metres: float) -> None:
        self.count, self.metres = count, metres

    def __len__(self) -> int:
        return self.count

    def image(self, index: int) -> np.ndarray:
        return np.full((4, 6, 3), index / self.count, np.float32)

    def scene(self, index: int, tasks: Collection[Task]) -> Scene:
        return Scene(self.image(index), depth=np.full((4, 6), self.metres, np.float32))


def test_any_other_data_set_is_known_by_sampled_scenes() -> None:
    first = split_record(Flat(20, 2.0))
    assert split_record(Flat(20, 2.0)) == first
    assert first.means["depth"] == 2
    assert split_record(Flat(20, 3.0)).digest != first.digest
    assert split_record(Flat(21, 2.0)).digest != first.digest
    assert split_record(Flat(0, 2.0)).images == 0


@given(st.integers(0, 3_000_000), st.integers(1, 255))
def test_replaced_weights_are_noticed_and_a_file_of_any_size_is_read(
    tmp_path_factory: pytest.TempPathFactory, size: int, change: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "weights"
    content = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    path.write_bytes(content.tobytes())
    first = files_digest({"weights": path}, 64)
    assert files_digest({"weights": path}, 64) == first
    path.write_bytes((content ^ np.uint8(change)).tobytes())
    assert (files_digest({"weights": path}, 64) != first) == (size > 0)


SPLIT = SplitRecord(images=795, digest="a", means={"depth": 2.7, "image": 0.5})
RECORD = DataRecord(
    root="/data", train=SPLIT, test=SPLIT, training_images=1, validation_images=0, test_images=1,
    labels="l", weights="w", regions="r",
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"root": "/elsewhere", "training_images": 5}, None),
        ({"weights": None, "regions": None}, None),
        ({"train": SPLIT.model_copy(update={"images": 12, "digest": "b"})}, "795 training images then, 12 now"),
        (
            {"train": SplitRecord(images=795, digest="b", means={"depth": 2700.0, "image": 0.5})},
            "mean depth of the training images 2.7 then, 2700 now",
        ),
        ({"test": SPLIT.model_copy(update={"digest": "b"})}, "other files of test images"),
        ({"labels": "m"}, "other label setting"),
        ({"weights": "v", "regions": "s"}, "other pretrained weights, other region maps"),
    ],
)
def test_differences_have_words(changes: dict[str, object], words: str | None) -> None:
    assert difference(RECORD, RECORD.model_copy(update=changes)) == words
