"""The benchmark of starts: what it prints, and what it takes for a phase of a run."""

from benchmarks.start import PHASES, as_tables
from rdc_sweeps.runs.records import Status


def test_commands_and_starts_are_tables_of_their_own() -> None:
    starts = {"run": dict.fromkeys(PHASES, 2.04), "worker": dict(zip(PHASES, (1.0, 2.0, 3.0), strict=True))}
    assert as_tables({"tables": 0.254}, starts).splitlines() == [
        "| `rdc-sweep` | processor s |",
        "|---|---|",
        "| `tables` | 0.25 |",
        "",
        "| seconds after | the worker begins | ready to train | first step taken |",
        "|---|---|---|---|",
        "| `rdc-sweep run` | 2.0 | 2.0 | 2.0 |",
        "| `rdc-sweep worker` | 1.0 | 2.0 | 3.0 |",
    ]


def test_phases_follow_the_heartbeat() -> None:
    begun = Status.of_this_process("starting")
    ready = begun.model_copy(update={"state": "training", "steps": 64})
    stepped = ready.model_copy(update={"step": 1})
    assert [[reached(status) for reached in PHASES.values()] for status in (begun, ready, stepped)] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
