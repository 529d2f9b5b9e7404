"""What the tests look at: the server's runs and this machine's processes."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tracking.backend import Backend
from tests.tracking.training import RUN, STEPS_PER_EPOCH, Node, loss, miou


def assert_complete(backend: Backend, end: int) -> None:
    """One run, every step of it once, every metric and picture in its place."""
    assert list(backend.runs) == [RUN]
    run = backend.runs[RUN]
    assert [row["_step"] for row in run.history] == list(range(end))
    assert run.series("loss") == [(step, pytest.approx(loss(step))) for step in range(end)]
    ends = range(STEPS_PER_EPOCH - 1, end, STEPS_PER_EPOCH)
    assert run.series("epoch") == [(step, epoch) for epoch, step in enumerate(ends)]
    assert run.series("test/mIoU") == [(step, pytest.approx(miou(epoch))) for epoch, step in enumerate(ends)]
    pictures = run.series("panels/image 3")
    assert [step for step, _ in pictures] == list(ends)
    assert {picture["path"] for _, picture in pictures} <= set(run.files)


def half_sent(backend: Backend, folder: Path, warn: Callable[[str], object], finish_timeout: float = 60.0) -> Node:
    """A node that tracks online and has trained 15 steps, of which the server has ten or more."""
    node = Node(folder, "online", finish_timeout=finish_timeout, warn=warn)
    node.start()
    node.train(0, 15)
    backend.wait_for(lambda: RUN in backend.runs and len(backend.runs[RUN].history) >= 10)
    return node


def wait_for(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def uploaders_of(folder: Path) -> list[int]:
    """The processes that upload a run directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"rdc_sweeps.tracking.uploader" in words and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found


def children_of(parents: list[int]) -> list[int]:
    """The processes that these have started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent in parents:
            found.append(int(path.parent.name))
    return found


def is_alive(process: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
