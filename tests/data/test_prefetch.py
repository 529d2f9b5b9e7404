"""Loading ahead in processes."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rdc_sweeps.data.prefetch import prefetched


class Group:
    """In a cycle, so that only the garbage collector ends it; notes which process did."""

    def __init__(self, note: Path) -> None:
        self.note, self.itself = note, self

    def __del__(self) -> None:
        self.note.write_text(str(os.getpid()))


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _collected(step: int) -> int:
    gc.collect()
    return step


def test_workers_do_not_end_what_they_inherit(uncollected: None, tmp_path: Path) -> None:
    # A group of processes in such a cycle, of an earlier training, would wait forever for threads that are not forked.
    note = tmp_path / "ended"
    Group(note)
    assert list(prefetched(_collected, range(3), workers=1)) == [0, 1, 2]
    assert not note.exists()
    gc.collect()
    assert note.read_text() == str(os.getpid())


def test_workers_collect_their_own_garbage_and_the_parent_goes_on_to() -> None:
    assert list(prefetched(lambda _: gc.isenabled(), range(2), workers=2)) == [True, True]
    assert gc.isenabled()
