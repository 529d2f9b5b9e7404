import threading
import time
from pathlib import Path

import pytest

from rdc_sweeps.files import is_locked, try_lock, unlock, wait_for_lock, write_atomically, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="Out of range"):
        write_json(path, {"new": float("nan")})

    def broken(file: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, broken)
    assert path.read_text() == '{\n "old": 1\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_folders_are_made(tmp_path: Path) -> None:
    write_json(tmp_path / "b" / "c" / "d.json", [])
    assert (tmp_path / "b" / "c" / "d.json").read_text() == "[]\n"


def test_a_lock_is_waited_for_until_its_owner_releases_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    owner = try_lock(path)
    assert owner is not None
    assert try_lock(path) is None
    found: list[float] = []

    def wait() -> None:
        descriptor = wait_for_lock(path, poll_seconds=0.01)
        found.append(time.monotonic())
        unlock(descriptor)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.1)
    released = time.monotonic()
    unlock(owner)
    waiting.join(timeout=30)
    assert [moment >= released for moment in found] == [True]
    assert not is_locked(path)
