import os
from pathlib import Path

import pytest
import torch

from rdc_sweeps.errors import CheckpointError, DamagedError
from rdc_sweeps.training.checkpoints import load_checkpoint, save_checkpoint


def test_a_missing_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "last.pt", "a") is None


def test_values_survive_the_round_trip(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.pt", "a", {"epoch": 3, "weights": torch.arange(3), "sums": {"loss": 0.1}})
    state = load_checkpoint(tmp_path / "last.pt", "a")
    assert state is not None
    assert (state["epoch"], state["weights"].tolist(), state["sums"]) == (3, [0, 1, 2], {"loss": 0.1})


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.pt", "a", {})
    with pytest.raises(CheckpointError, match="belongs to run a, not b; train from the beginning with --rerun"):
        load_checkpoint(tmp_path / "last.pt", "b")


@pytest.mark.parametrize("damage", [b"", b"PK", b"not a checkpoint at all"])
def test_a_damaged_checkpoint_is_an_error_that_names_it(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "last.pt").write_bytes(damage)
    with pytest.raises(CheckpointError, match=r"last\.pt: has no checksum: it is truncated, or .*--rerun"):
        load_checkpoint(tmp_path / "last.pt", "a")


def test_a_truncated_checkpoint_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, "a", {"weights": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(CheckpointError, match="has no checksum"):
        load_checkpoint(path, "a")


def test_a_flipped_bit_of_a_tensor_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, "a", {"weights": torch.full((1000,), 1.5)})
    content = path.read_bytes()
    place = content.index(torch.full((100,), 1.5).numpy().tobytes()) + 200
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(CheckpointError, match=r"last\.pt: is damaged: its checksum does not match; .*--retry-failed"):
        load_checkpoint(path, "a")


def test_a_checkpoint_without_checksum_is_of_an_earlier_version(tmp_path: Path) -> None:
    torch.save({"format": 1, "run": "a"}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="of an earlier version of rdc-sweep, which can finish the run"):
        load_checkpoint(tmp_path / "last.pt", "a")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "loop", "folder"):
        with pytest.raises(DamagedError, match=f"{name}: is not a file"):
            load_checkpoint(tmp_path / name, "a")


def test_a_file_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (str(tmp_path / "owned"),))

    save_checkpoint(tmp_path / "last.pt", "a", {"x": Evil()})
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path / "last.pt", "a")
    assert not (tmp_path / "owned").exists()
