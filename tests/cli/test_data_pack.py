"""`rdc-sweep data pack`: what it prints."""

from collections.abc import Callable
from pathlib import Path

from tests.aging import age
from tests.cli.conftest import Inside
from tests.data.conftest import write_mtan

__all__ = ["write_mtan"]


def test_it_tells_where_packs_are_and_of_which_types(inside: Inside, write_mtan: Callable[..., Path]) -> None:
    root = write_mtan(train=3, val=1)
    age(root)
    done = inside("data", "pack", str(root), "--size", "32x64")
    assert done.code == 0, done.err
    lines = [line for line in done.err.splitlines() if not line.startswith("packing")]
    assert len(lines) == 2
    for line, split in zip(lines, ("train", "val"), strict=True):
        assert f"/packs/nyuv2-{split}-32x64-" in line
        assert line.endswith(": packed (image float32, semantic int8, depth float32, normal float32; 0 MB)")
    again = inside("data", "pack", str(root), "--size", "32x64")
    assert again.err.splitlines() == [line.replace(": packed", ": already packed") for line in lines]


def test_what_cannot_be_packed_ends_with_a_remedy(inside: Inside, tmp_path: Path) -> None:
    unknown = inside("data", "pack", str(tmp_path))
    assert (unknown.code, "name it: --dataset" in unknown.err) == (2, True)
    missing = inside("data", "pack", str(tmp_path / "none"), "--dataset", "nyuv2")
    assert missing.code != 0
    assert "none: no such folder" in missing.err
    assert inside("data", "pack", str(tmp_path), "--size", "64").code == 2
