"""`rdc-sweep data check`: verdicts, exit codes, JSON."""

import json
from pathlib import Path

import pytest

from rdc_sweeps.specs.dataset import RoomsSpec
from rdc_sweeps.synthetic.rooms.scenes import open_rooms
from tests.cli.conftest import Inside
from tests.data.checking.conftest import write_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A few rooms."""
    splits = open_rooms(RoomsSpec(size=(32, 64), train_images=4, test_images=2), None, tmp_path / "cache")
    return write_root(tmp_path / "root", splits, {"semantic": "label", "depth": "depth", "normal": "normal"})


def test_a_failed_check_is_told_and_exits_with_1(inside: Inside, root: Path) -> None:
    (root / "train/depth/1.npy").write_bytes((root / "train/depth/1.npy").read_bytes()[:900])
    done = inside("data", "check", str(root), "--workers", "1", "--dataset", "rooms")
    assert done.code == 1
    shown = " ".join(done.out.split())
    assert "error arrays train: train/depth/1.npy: truncated" in shown
    assert "→ copy or write this file again" in shown
    assert "fingerprint of test: " in shown
    assert done.err.splitlines()[-1].startswith("1 errors, 0 warnings")


def test_json_is_the_record_of_the_folder(inside: Inside, root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checked"
    done = inside("data", "check", str(root), "-w", "1", "--dataset", "rooms", "--json", "-o", str(folder))
    assert done.code == 0, done.out
    assert json.loads(done.out) == json.loads((folder / "check.json").read_text())
    assert f"wrote {folder}/check.png" in done.err


def test_what_is_no_data_set_is_refused(inside: Inside, tmp_path: Path) -> None:
    done = inside("data", "check", str(tmp_path / "nothing"))
    assert done.code == 1
    assert "no such folder; name the folder that holds train/ and val/" in " ".join(done.err.split())
    assert inside("data", "check", str(tmp_path), "--dataset", "nyu").code == 2
