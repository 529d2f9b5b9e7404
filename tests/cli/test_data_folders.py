"""`rdc-sweep data import cityscapes` and `folder`: what they print, and what is left of a killed one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Inside
from tests.data.importing.official import NAMES, place, write_official
from tests.data.importing.own_files import description, write_description, write_files


@pytest.fixture
def official(tmp_path: Path) -> Path:
    """Fifteen images of random values."""
    rng = np.random.default_rng(0)
    for number in range(15):
        write_official(
            tmp_path / "official",
            "train" if number < 12 else "val",
            f"aachen_{number:06d}_000019",
            rng.integers(0, 256, (128, 256, 3), dtype=np.uint8),
            rng.integers(0, 34, (128, 256), dtype=np.uint8),
            rng.integers(0, 20000, (128, 256), dtype=np.uint16),
        )
    return tmp_path / "official"


def command(official: Path, out: Path) -> list[str]:
    return ["data", "import", "cityscapes", *(str(official / name) for name in NAMES), str(out), "--workers", "1"]


def test_cityscapes_tells_what_was_imported_and_how_to_use_it(inside: Inside, official: Path, tmp_path: Path) -> None:
    done = inside(*command(official, tmp_path / "out"), "--size", "64x128")
    assert done.code == 0, done.err
    assert done.err.splitlines() == [
        "note: 12 training and 3 validation images, but 2975 and 500 are published",
        "imported: 0 of 15",
        "imported: 15 of 15",
        f"{tmp_path}/out: 15 images imported, 0 already there",
        f"to check them: rdc-sweep data check {tmp_path}/out",
        f"to use them: export RDC_SWEEP_CITYSCAPES_ROOT={tmp_path}/out",
    ]
    assert np.load(tmp_path / "out/train/label_7/11.npy").shape == (64, 128)
    lines = (tmp_path / "out/index.csv").read_text().splitlines()
    assert lines[:2] == ["split,file,image", "train,0.npy,train/aachen/aachen_000000_000019"]
    assert lines[13] == "val,0.npy,val/aachen/aachen_000012_000019"
    assert len(lines) == 16


def test_other_classes_are_told_to_runs(inside: Inside, official: Path, tmp_path: Path) -> None:
    done = inside(*command(official, tmp_path / "out"), "--classes", "19")
    assert done.code == 0, done.err
    assert done.err.splitlines()[-1] == "  and in each run: --set dataset.label_classes=19"
    assert (tmp_path / "out/train/label_19/0.npy").exists()


@pytest.mark.parametrize("size", ["64", "64x", "0x64", "64x-1", "64x99999", "½x1"])
def test_a_size_is_a_height_and_a_width(inside: Inside, official: Path, tmp_path: Path, size: str) -> None:
    done = inside(*command(official, tmp_path / "out"), "--size", size)
    assert done.code == 2
    assert "HEIGHTxWIDTH, such as 128x256" in done.err
    assert not (tmp_path / "out").exists()


def test_a_missing_file_leaves_nothing_behind(inside: Inside, official: Path, tmp_path: Path) -> None:
    gone = place(official, "disparity", "val", "aachen_000013_000019")
    gone.unlink()
    done = inside(*command(official, tmp_path / "out"))
    assert done.code == 1
    assert f"{gone}: no such file" in done.err
    assert not (tmp_path / "out").exists()


def test_an_import_that_was_killed_continues(
    inside: Inside, official: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    out = tmp_path / "out"
    killed = subprocess.Popen(
        [sys.executable, "-m", "rdc_sweeps", *command(official, out)], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            ended = killed.poll() is not None
            if (out / "train/depth/2.npy").exists():
                break
            assert not ended, "it ended before it wrote anything"
            time.sleep(0.002)
    finally:
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    done = inside(*command(official, out))
    assert done.code == 0, done.err
    assert inside(*command(official, tmp_path / "whole")).code == 0
    files = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert files == {path: (tmp_path / "whole" / path).read_bytes() for path in files}
    assert len(files) == 15 * 3 + 2
    assert ", 0 already there" not in done.err


def test_folder_tells_how_the_data_are_used(inside: Inside, tmp_path: Path) -> None:
    write_files(tmp_path)
    (tmp_path / "train.txt").write_text("office0/00\noffice0/01\noffice1/00\n")
    (tmp_path / "test.txt").write_text("office2/00\n")
    write_description(tmp_path, description(split={"name": "lists", "train": "train.txt", "test": "test.txt"}))
    done = inside("data", "import", "folder", "desks.yaml", "out", "--workers", "1")
    assert done.code == 0, done.err
    assert [line for line in done.err.splitlines() if not line.startswith("imported")] == [
        "desks: 3 training and 1 test images",
        "note: 4 images are in neither split and are not imported",
        "out: 4 images imported, 0 already there",
        "to check them: rdc-sweep data check out",
        "to use them:",
        "  pip install out/package",
        f'  in rdc-sweep.toml, below [dataset_roots]: desks = "{tmp_path}/out"',
        "  in a table, below defaults: dataset: {name: desks}",
    ]
    assert (tmp_path / "out/index.csv").read_text().splitlines()[1:] == [
        "train,0.npy,office0/00", "train,1.npy,office0/01", "train,2.npy,office1/00", "val,0.npy,office2/00"
    ]  # fmt: skip
    again = inside("data", "import", "folder", "desks.yaml", "out", "--workers", "1")
    assert "out: 0 images imported, 4 already there" in again.err


def test_a_description_that_is_wrong_writes_nothing(inside: Inside, tmp_path: Path) -> None:
    write_files(tmp_path, scenes=2)
    for wrong, code, told in (
        ({"root": "photos"}, 1, "photos/photos: no such folder"),
        ({"size": [0, 1]}, 3, "desks.yaml:1: size: height and width must be 1 to 8192"),
        ({"split": {"name": "fractions"}}, 3, "there is no 'fractions'; did you mean 'fraction'"),
    ):
        write_description(tmp_path, description(**wrong))
        done = inside("data", "import", "folder", "desks.yaml", "out")
        assert (done.code, told in done.err) == (code, True), done.err
    assert inside("data", "import", "folder", "none.yaml", "out").code == 3
    assert not (tmp_path / "out").exists()


def test_labels_that_fit_no_setting_are_told(inside: Inside, tmp_path: Path) -> None:
    write_files(tmp_path)
    (tmp_path / "depth/office0/00_depth.png").unlink()
    write_description(tmp_path, description(depth={**description()["depth"], "optional": True}))
    done = inside("data", "import", "folder", "desks.yaml", "out", "--workers", "1")
    assert done.code == 0, done.err
    assert "note: no label setting can describe these labels, so runs use `labels.setting: full`: 5 of 6" in done.err
    assert "label_settings_root" not in done.err


def test_huggingface_imports_columns(inside: Inside, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    rng = np.random.default_rng(0)
    columns = {
        "photo": list(rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)),
        "ids": list(rng.integers(0, 2, (4, 32, 32), dtype=np.uint8)),
        "depth": list(rng.integers(1000, 3000, (4, 32, 32), dtype=np.uint16)),
    }
    datasets.Dataset.from_dict(columns).save_to_disk(str(tmp_path / "saved"))
    fields = {
        "name": "desks",
        "root": "saved",
        "image": {"column": "photo"},
        "semantic": {"column": "ids", "classes": {"a": 0, "b": 1}},
        "depth": {"column": "depth", "scale": 0.001},
        "split": {"name": "fraction", "test": 0.25},
    }
    write_description(tmp_path, fields)
    done = inside("data", "import", "huggingface", "desks.yaml", "out", "--workers", "1")
    assert done.code == 0, done.err
    assert "desks: 3 training and 1 test images" in done.err
    assert "  pip install out/package" in done.err
    (place,) = [line.split(",")[2] for line in (tmp_path / "out/index.csv").read_text().splitlines() if "val" in line]
    np.testing.assert_array_equal(np.load(tmp_path / "out/val/label/0.npy"), columns["ids"][int(place)])
    refused = inside("data", "import", "folder", "desks.yaml", "other")
    assert (refused.code, "rdc-sweep data import huggingface" in refused.err) == (3, True)
