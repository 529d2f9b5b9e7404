import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rdc_sweeps.errors import DataError, InfrastructureError, UsageError
from rdc_sweeps.processes.workers import map_in_workers, worker_count


def squared(number: int) -> int:
    return number**2


def refuse(number: int) -> int:
    raise DataError(f"image {number}")


def kill(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("workers", [1, 2])
def test_each_item_has_a_result(workers: int) -> None:
    assert sorted(map_in_workers(squared, range(20), workers)) == [number**2 for number in range(20)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_ends_it(workers: int) -> None:
    with pytest.raises(DataError, match="image"):
        list(map_in_workers(refuse, range(20), workers))


class Counted:
    """A function that counts how often it is sent somewhere, and that no worker ends before two have begun."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent = 0

    def __call__(self, number: int) -> int:
        (self.folder / str(os.getpid())).touch()
        deadline = time.monotonic() + 60
        while len(list(self.folder.iterdir())) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return number

    def __getstate__(self) -> dict[str, Any]:
        self.sent += 1
        return {"folder": self.folder}


def test_the_function_is_sent_once_to_each_worker(tmp_path: Path) -> None:
    function = Counted(tmp_path)
    assert sorted(map_in_workers(function, range(20), 2)) == list(range(20))
    assert function.sent == len(list(tmp_path.iterdir())) == 2


def test_few_items_are_taken_ahead() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = map_in_workers(squared, items(), 2)
    next(results)
    assert len(taken) < 20
    results.close()


def test_a_killed_worker_is_told() -> None:
    with pytest.raises(InfrastructureError, match="fewer --workers"):
        list(map_in_workers(kill, range(4), 2))


def test_the_default_is_a_process_for_each_core() -> None:
    assert worker_count(None) == len(os.sched_getaffinity(0))
    assert worker_count(3) == 3
    with pytest.raises(UsageError, match="at least one"):
        worker_count(0)
