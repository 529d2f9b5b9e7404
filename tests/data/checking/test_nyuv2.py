"""The real NYU-V2: it has no fault, and faults that are planted in it are found."""

import subprocess
import sys
from pathlib import Path

import pytest

from rdc_sweeps.data.checking.check import check_root
from tests.data.checking import faults
from tests.data.checking.test_check import Told, failed
from tests.data.conftest import shared

__all__ = ["shared"]

SOME = {"counts": ""}
"""Only some of its images are read."""

FAULTS: dict[str, tuple[faults.Fault, Told]] = {
    "mirrored images": (faults.mirrored("image"), {"left and right": "images mirrored"}),
    "mirrored labels": (faults.mirrored("label"), {"left and right": "labels mirrored"}),
    "mirrored depth": (faults.mirrored("depth"), {"left and right": "depth mirrored"}),
    "mirrored normals": (faults.mirrored("normal"), {"left and right": "normals mirrored"}),
    "millimetres": (faults.changed("depth", lambda depth: depth * 1000), {"depth": "mean depth"}),
    "labels one more": (
        faults.changed("label", faults.one_more),
        {"class places": "labels are off by +1", "class shares": "void 0.000", "labels": "invalid label (13)"},
    ),
    "labels one more but void": (
        faults.changed("label", faults.one_more_but_void),
        {"class places": "labels are off by +1", "class shares": "window", "labels": "invalid label (13)"},
    ),
    "labels one less": (
        faults.changed("label", faults.one_less),
        {"class places": "labels are off by -1", "class shares": "tv"},
    ),
    "labels and void one less": (
        faults.changed("label", lambda label: label - 1),
        {"class places": "labels are off by -1", "class shares": "tv", "labels": "invalid label (-2)"},
    ),
    "normals with -x": (faults.negated(0), {"frame of normals": "as (-x, y, z) they agree best"}),
    "normals with -y": (faults.negated(1), {"frame of normals": "as (x, -y, z) they agree best"}),
    "normals with -z": (faults.negated(2), {"frame of normals": "as (x, y, -z) they agree best"}),
    "encoded normals": (faults.changed("normal", lambda normal: (normal + 1) / 2), {"normals": "v = (n + 1) / 2"}),
    "exchanged labels": (faults.exchanged("label", 20, 70), {"exchanged files": "train/label/20.npy and 70.npy"}),
    "exchanged depth": (faults.exchanged("depth", 20, 70), {"exchanged files": "train/depth/20.npy and 70.npy"}),
    "shuffled labels": (faults.reordered("label", faults.shuffled), {"order of files": "labels of other scenes"}),
    "images by name": (faults.reordered("image", faults.by_name), {"order of files": "in the order of their names"}),
    "truncated": (faults.truncated("train/depth/7.npy"), {"arrays": "train/depth/7.npy: truncated"}),
    "leaked": (faults.leaked(5, 9), {"test images in training": "train/image/9.npy is val/image/5.npy"}),
    "leaked and altered": (
        faults.leaked(5, 9, altered=True),
        {"test images in training": "train/image/9.npy is val/image/5.npy"},
    ),
}


@pytest.fixture(scope="module")
def nyuv2(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some images of the real NYU-V2."""
    root = tmp_path_factory.mktemp("nyuv2") / "root"
    size = ["--size", "48", "64", "--train", "160", "--val", "60"]
    subprocess.run([sys.executable, str(shared / "tools/nyuv2_npy.py"), str(root), *size], check=True)
    return root


def test_it_has_no_fault(nyuv2: Path) -> None:
    check = check_root(nyuv2, workers=1)
    assert set(failed(check)) == set(SOME)
    assert not check.count("skipped")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_found(nyuv2: Path, tmp_path: Path, name: str) -> None:
    plant, told = FAULTS[name]
    root = faults.copy_root(nyuv2, tmp_path / "root")
    plant(root)
    found = failed(check_root(root, workers=1))
    assert set(found) == {*SOME, *told}, found
    for check_name, phrase in told.items():
        assert phrase in found[check_name]
