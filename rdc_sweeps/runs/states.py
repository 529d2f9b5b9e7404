"""The states of runs, of their workers and of trials, and the exit codes of workers: each vocabulary once."""

import os
from enum import IntEnum
from typing import Literal

RunState = Literal["planned", "running", "preempted", "cancelled", "pruned", "failed", "done"]
"""What the directory of a run says of it."""

ShownState = RunState | Literal["queued"]
"""What is shown of a run: one that waits for its executor is queued."""

TERMINAL_STATES: frozenset[ShownState] = frozenset({"done", "failed", "cancelled", "pruned"})
"""Terminal states: without a new command, nothing will change them."""

STARTABLE_STATES: frozenset[ShownState] = frozenset({"planned", "preempted"})
"""States of runs that a worker may start or resume."""

StopReason = Literal["cancelled", "pruned"]
"""Why a run was ended on purpose, before its end; also its state from then on."""

WorkerEnd = Literal["done", "failed", "preempted"]
"""How a worker ended that ended in order; `preempted` leaves a run that can be resumed."""

WorkerState = Literal["starting", "training"] | WorkerEnd
"""What a worker reports of itself in its heartbeat."""

ACTIVE_STATES: frozenset[WorkerState] = frozenset({"starting", "training"})
"""States of a worker that means to continue."""

AttemptEnd = WorkerEnd | Literal["retry", "forgotten"]
"""How an attempt ended. `retry`: an error that is not the run's fault. `forgotten`: earlier deaths no longer count."""

TrialPhase = Literal["complete", "pruned", "failed", "running", "interrupted"]
"""States of a trial (Optuna's `TrialState` has fewer); an interrupted one waits for a worker to resume it."""


class WorkerExit(IntEnum):
    """Exit codes of a worker. PREEMPTED and RETRY ask for a restart, and so does death by a signal."""

    DONE = 0
    FAILED = 1
    LOCKED = 6
    """Another process is working on the run."""
    PREEMPTED = 7
    """Stopped by a signal, with a checkpoint."""
    STOPPED = 8
    """The run was cancelled or pruned."""
    RETRY = os.EX_TEMPFAIL
    """An error that is not the run's fault."""


def should_restart(code: int) -> bool:
    """Whether a worker with this exit code (negative: killed by a signal) should be started again."""
    return code < 0 or code > 128 or code in {WorkerExit.PREEMPTED, WorkerExit.RETRY}
