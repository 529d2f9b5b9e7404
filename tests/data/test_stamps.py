import multiprocessing
import os
import time
from pathlib import Path

from rdc_sweeps.data.stamps import SoundFiles, number_of


def test_each_change_of_a_file_gives_another_number(tmp_path: Path) -> None:
    path = tmp_path / "0.npy"
    path.write_bytes(b"one")
    assert number_of(path.stat()) == 0  # It may change again at the same moment.
    then = time.time() - 1000
    numbers = set()
    for content in (b"one", b"two", b"three"):
        path.write_bytes(content)
        os.utime(path, (then, then))
        numbers.add(number_of(path.stat()))
        assert number_of(path.stat()) in numbers
        time.sleep(0.02)
    assert len(numbers - {0}) == 3


def test_what_a_forked_process_found_sound_is_known() -> None:
    sound = SoundFiles(3)
    child = multiprocessing.get_context("fork").Process(target=sound.add, args=(1, 77))
    child.start()
    child.join()
    assert sound.knows(1, 77)
    assert not sound.knows(1, 78)
    assert not sound.knows(0, 77)


def test_a_stamp_of_0_is_never_known() -> None:
    sound = SoundFiles(1)
    sound.add(0, 0)
    assert not sound.knows(0, 0)
