"""Planted faults are found, each by its check and by no other; good roots have none."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from rdc_sweeps.data.checking.check import check_root
from rdc_sweeps.data.checking.findings import DataCheck
from rdc_sweeps.data.importing.record import write_record
from rdc_sweeps.data.mtan import NYUV2_LAYOUT
from rdc_sweeps.data.roots import open_mtan_splits
from rdc_sweeps.errors import DataError, UsageError
from tests.data.checking import faults
from tests.data.checking.faults import Fault
from tests.data.damage import mutations

Told = Mapping[str, str]
"""What the checks that fail tell, by their names."""

FAULTS: dict[str, tuple[Fault, Told]] = {
    "mirrored images": (faults.mirrored("image"), {"left and right": "images mirrored"}),
    "mirrored labels": (faults.mirrored("label"), {"left and right": "labels mirrored"}),
    "mirrored depth": (faults.mirrored("depth"), {"left and right": "depth mirrored"}),
    "mirrored normals": (faults.mirrored("normal", negated=True), {"left and right": "normals mirrored"}),
    "mirrored in one split": (faults.mirrored("label", splits=("val",)), {"left and right": "val: labels mirrored"}),
    "millimetres": (
        faults.changed("depth", lambda depth: depth * 1000),
        {"depth": "train/depth/0.npy and 39 more of 40 files: mean depth"},
    ),
    "labels one more": (
        faults.changed("label", faults.one_more),
        {"class places": "labels are off by +1", "labels": "invalid label (13)"},
    ),
    "labels one less": (
        faults.changed("label", faults.one_less),
        {"class places": "labels are off by -1"},
    ),
    "other classes": (
        faults.changed("label", lambda label: np.where(label == 4, 11, np.where(label == 11, 4, label))),
        {"class places": "floor"},
    ),
    "normals with -x": (faults.negated(0), {"frame of normals": "as (-x, y, z) they agree best"}),
    "normals with -y": (faults.negated(1), {"frame of normals": "as (x, -y, z) they agree best"}),
    "normals with -z": (faults.negated(2), {"frame of normals": "as (x, y, -z) they agree best"}),
    "normals with other axes": (
        faults.changed("normal", lambda normal: normal[..., [1, 2, 0]]),
        {"frame of normals": "as (z, x, y) they agree best"},
    ),
    "normals away from the camera, and no depth": (
        faults.both(faults.negated(2), faults.changed("depth", np.zeros_like)),
        {"frame of normals": "% facing: the others point away from the camera"},
    ),
    "encoded normals": (
        faults.changed("normal", lambda normal: (normal + 1) / 2),
        {"normals": "stored as v = (n + 1) / 2"},
    ),
    "short normals": (
        faults.changed("normal", lambda normal: normal * np.float32(0.8)),
        {"normals": "0.0% of length 1"},
    ),
    "exchanged images": (faults.exchanged("image", 3, 31), {"exchanged files": "train/image/3.npy and 31.npy"}),
    "exchanged labels": (faults.exchanged("label", 3, 31), {"exchanged files": "train/label/3.npy and 31.npy"}),
    "exchanged depth": (faults.exchanged("depth", 3, 11), {"exchanged files": "train/depth/3.npy and 11.npy"}),
    "exchanged normals": (faults.exchanged("normal", 3, 31), {"exchanged files": "train/normal/3.npy and 31.npy"}),
    "exchanged among tests": (
        faults.exchanged("label", 2, 13, "val"),
        {"exchanged files": "val: val/label/2.npy and 13.npy"},
    ),
    "images by name": (
        faults.reordered("image", faults.by_name),
        {"order of files": "in the order of their names as texts"},
    ),
    "shuffled labels": (faults.reordered("label", faults.shuffled), {"order of files": "labels of other scenes"}),
    "moved depth": (
        faults.reordered("depth", faults.moved),
        {"order of files": "file N belongs to scene N + 1"},
    ),
    "truncated": (faults.truncated("train/depth/7.npy"), {"arrays": "train/depth/7.npy: truncated"}),
    "pickled": (faults.pickled("val/label/3.npy"), {"arrays": "val/label/3.npy"}),
    "leaked": (faults.leaked(5, 9), {"test images in training": "train/image/9.npy is val/image/5.npy"}),
    "leaked and altered": (
        faults.leaked(5, 9, altered=True),
        {"test images in training": "train/image/9.npy is val/image/5.npy"},
    ),
    "the same label twice": (
        faults.copied("label", 4, 12),
        {"copies": "train/label/4.npy and 12.npy are equal"},
    ),
    "the same image twice": (
        faults.copied("image", 4, 12),
        {"copies": "train/image/4.npy and 12.npy show the same"},
    ),
    "one mirrored file": (
        faults.changed_file("train/label/32.npy", lambda label: label[:, ::-1]),
        {"left and right": "1 files seem to be mirrored: train/label/32.npy"},
    ),
    "striped labels": (
        faults.striped("label", range(5)),
        {"order of files": "5 labels fit nothing else of their scenes"},
    ),
    "a file is missing": (lambda root: (root / "val/depth/3.npy").unlink(), {"names": "add 3.npy"}),
    "another resolution": (
        faults.changed_file("train/depth/3.npy", lambda depth: depth[::2, ::2]),
        {"resolution": "1 scenes whose maps have another resolution than their image"},
    ),
}


def failed(check: DataCheck) -> dict[str, str]:
    return {one.name: one.found for one in check.checks if one.level in ("warning", "error")}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_by_its_check_alone(rooms: Path, tmp_path: Path, name: str) -> None:
    plant, told = FAULTS[name]
    root = faults.copy_root(rooms, tmp_path / "root")
    plant(root)
    check = check_root(root, "rooms", workers=1)
    found = failed(check)
    assert set(found) == set(told), found
    for check_name, phrase in told.items():
        assert phrase in found[check_name]
    assert all(one.remedy for one in check.checks if one.name in told)


def test_good_roots_have_no_fault(rooms: Path, streets: Path) -> None:
    for root, dataset in ((rooms, "rooms"), (streets, "streets")):
        check = check_root(root, dataset, workers=1)
        assert failed(check) == {}
        assert {one.name for one in check.checks if one.level == "skipped"} <= {"class shares", "class places"}
    # Compared with a real data set, they have another number of images.
    assert set(failed(check_root(rooms, workers=1))) == {"counts"}
    assert check_root(streets, workers=1).dataset == "cityscapes"


STREET_FAULTS: dict[str, tuple[Fault, Told]] = {
    "mirrored labels": (faults.mirrored("label_7"), {"left and right": "labels mirrored"}),
    "mirrored images": (faults.mirrored("image"), {"left and right": "images mirrored"}),
    "raw disparities": (
        faults.changed("depth", lambda depth: depth * 65535),
        {"depth": "mean depth"},
    ),
    "labels one more": (
        faults.changed("label_7", faults.one_more),
        {"class places": "labels are off by +1", "labels": "invalid label (7)"},
    ),
    "labels one less": (faults.changed("label_7", faults.one_less), {"class places": "labels are off by -1"}),
    "exchanged depth": (faults.exchanged("depth", 3, 31), {"exchanged files": "train/depth/3.npy and 31.npy"}),
    "images by name": (faults.reordered("image", faults.by_name), {"order of files": "images of other scenes"}),
    "leaked": (faults.leaked(5, 9, altered=True), {"test images in training": "train/image/9.npy is val/image/5.npy"}),
}


@pytest.mark.parametrize("name", STREET_FAULTS)
def test_faults_in_streets_are_found(streets: Path, tmp_path: Path, name: str) -> None:
    plant, told = STREET_FAULTS[name]
    root = faults.copy_root(streets, tmp_path / "root")
    plant(root)
    found = failed(check_root(root, "streets", workers=1))
    assert set(found) == set(told), found
    for check_name, phrase in told.items():
        assert phrase in found[check_name]


def test_fingerprints_are_those_that_runs_record(rooms: Path, tmp_path: Path) -> None:
    train, test = open_mtan_splits("rooms", NYUV2_LAYOUT, (64, 96), rooms, "a setting")
    assert check_root(rooms, "rooms", workers=1).fingerprints == {
        "train": train.fingerprint(),
        "test": test.fingerprint(),
    }
    root = faults.copy_root(rooms, tmp_path / "root")
    (root / "val/depth/3.npy").unlink()
    assert set(check_root(root, "rooms", workers=1).fingerprints) == {"train"}


def test_own_data_are_compared_with_their_description(rooms: Path, tmp_path: Path) -> None:
    root = faults.copy_root(rooms, tmp_path / "root")
    for split in ("train", "val"):
        shutil.rmtree(root / split / "normal")
    description: dict[str, object] = {"name": "desks", "image": {}, "semantic": {}, "depth": {}, "normal": None}
    write_record(root, {**description, "classes": [*NYUV2_LAYOUT.classes, "lamp"]})
    check = check_root(root, workers=1)
    assert check.dataset == "desks"
    assert failed(check) == {}
    assert {one.name for one in check.checks if one.level == "ok"} >= {"class places", "left and right"}
    faults.changed("label", lambda label: label + 2)(root)
    assert set(failed(check_root(root, workers=1))) == {"labels", "class places"}
    write_record(root, {**description, "classes": 3})
    with pytest.raises(DataError, match="the record of its import is damaged"):
        check_root(root, workers=1)


def test_several_workers_find_the_same(rooms: Path) -> None:
    told: list[tuple[str, int, int]] = []
    check = check_root(rooms, "rooms", workers=2, progress=lambda *one: told.append(one))
    assert check == check_root(rooms, "rooms", workers=1)
    assert ("train scenes", 40, 40) in told
    assert ("val scenes", 20, 20) in told


@pytest.mark.filterwarnings("error")
def test_damaged_files_are_errors_and_nothing_worse(rooms: Path, tmp_path: Path) -> None:
    root = faults.copy_root(rooms, tmp_path / "root")
    for split, keep in (("train", 14), ("val", 2)):
        for path in [*(root / split).rglob("*.npy")]:
            if int(path.stem) >= keep:
                path.unlink()
    for folder in ("image", "label", "depth", "normal"):
        path = root / "train" / folder / "5.npy"
        content = path.read_bytes()
        for number, damaged in enumerate(mutations(content, 9)):
            target = root / "train" / folder / f"{number}.npy"
            target.unlink()
            target.write_bytes(damaged)
    check = check_root(root, "rooms", workers=1)
    assert "arrays" in failed(check)
    for split in ("train", "val"):
        shutil.rmtree(root / split / "normal")
    assert set(failed(check_root(root, "rooms", workers=1))) == {"names"}


def test_empty_and_unfinished_roots_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder; name the folder that holds train/ and val/"):
        check_root(tmp_path / "nothing")
    with pytest.raises(DataError, match="no data set; name the folder"):
        check_root(tmp_path)
    with pytest.raises(UsageError, match="Available: nyuv2, nyuv2-40, cityscapes"):
        check_root(tmp_path, "nyu")
    (tmp_path / "train" / "label").mkdir(parents=True)
    assert set(failed(check_root(tmp_path))) == {"counts", "names"}
    (tmp_path / "import-unfinished").mkdir()
    with pytest.raises(DataError, match="import unfinished"):
        check_root(tmp_path)
