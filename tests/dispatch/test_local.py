import os
from types import SimpleNamespace

import pytest

from rdc_sweeps.dispatch.local import MEMORY_PER_RUN, Slots, slots
from rdc_sweeps.settings import Settings

CORES = len(os.sched_getaffinity(0))


def settings(**values: float) -> Settings:
    return Settings(**{"max_parallel": 0, "threads": 0, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "chosen", "gpus", "expected"),
    [
        (1, settings(), 0, Slots(1, CORES)),
        (12, settings(max_parallel=1), 0, Slots(1, CORES)),
        (12, settings(max_parallel=3, threads=2), 0, Slots(3, 2)),
        (12, settings(), 4, Slots(4, max(1, CORES // 4))),
        (2, settings(), 8, Slots(2, max(1, CORES // 2))),
        (12, settings(gpus_per_run=0.5), 2, Slots(4, max(1, CORES // 4))),
        (12, settings(gpus_per_run=2), 5, Slots(2, max(1, CORES // 2))),
        (12, settings(max_parallel=9), 2, Slots(2, max(1, CORES // 2))),
    ],
)
def test_slots_share_the_machine(count: int, chosen: Settings, gpus: int, expected: Slots) -> None:
    assert slots(count, chosen, gpus) == expected


@pytest.mark.parametrize(("fitting", "runs"), [(0, 1), (1, 1), (CORES, CORES), (1000, CORES)])
def test_no_more_runs_than_cores_and_memory_are_for_unless_asked_for(
    fitting: int, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = SimpleNamespace(available=fitting * MEMORY_PER_RUN)
    monkeypatch.setattr("rdc_sweeps.dispatch.local.psutil.virtual_memory", lambda: memory)
    assert slots(1000, settings(), 0) == Slots(runs, max(1, CORES // runs))
    assert slots(1000, settings(max_parallel=CORES + 3), 0).runs == CORES + 3
