"""Region maps as a real Slurm array."""

import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.slurm.cluster import wait_for
from tests.slurm.sweeps import Sweeps

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

IMAGES = 120


def workers(shard: str) -> list[psutil.Process]:
    """The processes that compute a shard in this test's folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "build" in words and shard in words and "srun" not in words[0]:
            found.append(process)
    return found


def test_an_array_computes_all_maps_also_if_a_task_is_killed(sweeps: Sweeps, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(IMAGES):
        np.save(folder / f"{number}.npy", np.random.default_rng(number).integers(0, 256, (288, 384, 3), np.uint8))
    cache = {"RDC_SWEEP_CACHE_ROOT": str(tmp_path / "cache")}
    arguments = ("regions", "build", "-g", "superpixel", "--images", str(folder))

    def stored() -> int:
        return len(list((tmp_path / "cache").rglob("*.npz")))

    assert "submitted 2 jobs" in sweeps.call(*arguments, "--shards", "2", variables=cache)
    assert "Slurm already has jobs" in sweeps.call(*arguments, "--shards", "2", variables=cache)
    # The task's number is only known to the shell that starts the processes. It is found first, so that it is killed
    # right after the first map.
    wait_for(lambda: bool(workers("task/2")), "the second task")
    (shell, *_) = workers("task/2")
    wait_for(lambda: stored() > 0, "the first map")
    os.kill(shell.pid, signal.SIGKILL)
    before = stored()
    assert before < IMAGES
    sweeps.wait_until_quiet(300)
    assert stored() == IMAGES
    assert f"0 built, {IMAGES} already stored" in sweeps.call(*arguments, variables=cache)
