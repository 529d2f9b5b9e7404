from typing import get_args

from rdc_sweeps.runs.states import (
    ACTIVE_STATES,
    STARTABLE_STATES,
    TERMINAL_STATES,
    RunState,
    StopReason,
    WorkerEnd,
    WorkerExit,
    WorkerState,
    should_restart,
)


def test_workers_that_are_started_again() -> None:
    assert [code for code in WorkerExit if should_restart(code)] == [WorkerExit.PREEMPTED, WorkerExit.RETRY]
    assert should_restart(137)
    assert should_restart(-9)
    assert not should_restart(2)


def test_every_state_of_a_run_is_of_one_kind() -> None:
    assert TERMINAL_STATES | STARTABLE_STATES | {"running"} == set(get_args(RunState))
    assert not TERMINAL_STATES & STARTABLE_STATES
    assert set(get_args(StopReason)) <= TERMINAL_STATES


def test_a_worker_is_active_until_it_ends() -> None:
    states = {state for part in get_args(WorkerState) for state in get_args(part) or (part,)}
    assert states - ACTIVE_STATES == set(get_args(WorkerEnd))


def test_the_codes_are_those_that_documents_and_job_files_name() -> None:
    assert {code.name: code.value for code in WorkerExit} == {
        "DONE": 0, "FAILED": 1, "LOCKED": 6, "PREEMPTED": 7, "STOPPED": 8, "PARKED": 9, "RETRY": 75,
    }  # fmt: skip
