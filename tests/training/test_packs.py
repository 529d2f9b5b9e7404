from collections.abc import Callable
from pathlib import Path

import pytest

from rdc_sweeps.data.importing.record import write_record
from rdc_sweeps.data.packed import PackedSplit
from rdc_sweeps.errors import DataError, UsageError
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.dataset import CityscapesSpec, NyuV2Spec, RoomsSpec
from rdc_sweeps.training.packs import dataset_in, pack_root
from rdc_sweeps.training.splits import open_splits
from tests.aging import age
from tests.data.conftest import write_mtan

__all__ = ["write_mtan"]

WriteMtan = Callable[..., Path]
SETTINGS = Settings(nyuv2_root=None, cityscapes_root=None, dataset_roots={})


@pytest.fixture
def root(write_mtan: WriteMtan) -> Path:
    root = write_mtan()
    age(root)
    return root


def renamed(root: Path, folder: str) -> Path:
    for split in ("train", "val"):
        (root / split / "label").rename(root / split / folder)
    return root


def test_runs_read_what_is_packed(root: Path, tmp_path: Path) -> None:
    spec = dataset_in(root, SETTINGS, size=(32, 64))
    assert spec == NyuV2Spec(size=(32, 64))
    reports = pack_root(spec, root, tmp_path / "cache", lambda *_: None)
    assert [report.written for report in reports] == [True, True]
    splits = open_splits(spec, root=root, cache=tmp_path / "cache")
    assert [type(split) for split in splits.whole] == [PackedSplit, PackedSplit]
    again = pack_root(spec, root, tmp_path / "cache", lambda *_: None)
    assert again == [report._replace(written=False) for report in reports]


@pytest.mark.parametrize(
    ("folder", "spec"),
    [("label", NyuV2Spec()), ("label_40", NyuV2Spec(label_classes=40)), ("label_7", CityscapesSpec()),
     ("label_19", CityscapesSpec(label_classes=19))],
)  # fmt: skip
def test_folders_tell_which_data_set_there_is(root: Path, folder: str, spec: NyuV2Spec | CityscapesSpec) -> None:
    assert dataset_in(renamed(root, folder) if folder != "label" else root, SETTINGS) == spec


def test_settings_tell_more_than_folders(root: Path) -> None:
    settings = SETTINGS.model_copy(update={"cityscapes_root": root})
    assert dataset_in(root, settings) == CityscapesSpec()
    assert dataset_in(root, settings, "nyuv2") == NyuV2Spec()


def test_the_record_of_an_import_names_own_data(root: Path) -> None:
    write_record(root, {"name": "desks", "image": {}})
    with pytest.raises(UsageError, match="desks: Input tag 'desks'"):
        dataset_in(root, SETTINGS)


def test_a_root_that_nothing_tells_of_must_be_named(root: Path) -> None:
    with pytest.raises(UsageError, match="nope"):
        dataset_in(root, SETTINGS, "nope")
    with pytest.raises(UsageError, match="multiples of 32"):
        dataset_in(root, SETTINGS, size=(50, 60))
    with pytest.raises(UsageError, match="name it: --dataset"):
        dataset_in(renamed(root, "labels"), SETTINGS)


def test_what_cannot_be_packed_is_an_error(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rooms: only data sets in the layout of NYU-V2 and Cityscapes can be packed"):
        pack_root(RoomsSpec(), root, tmp_path / "cache", lambda *_: None)
    with pytest.raises(DataError, match="label_7: no such folder"):
        pack_root(CityscapesSpec(), root, tmp_path / "cache", lambda *_: None)
