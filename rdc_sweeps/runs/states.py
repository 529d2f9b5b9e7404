"""The states of runs, workers and trials, and the exit codes of workers."""

import os
from enum import IntEnum
from typing import Literal

RunState = Literal["planned", "running", "preempted", "cancelled", "pruned", "failed", "damaged", "done"]
"""The state of a run according to its directory; a `damaged` run has a record that is not what was written."""

ShownState = RunState | Literal["queued"]
"""The displayed state of a run: `queued` if it is waiting for its executor."""

TERMINAL_STATES: frozenset[ShownState] = frozenset({"done", "failed", "damaged", "cancelled", "pruned"})
"""Terminal states; only a new command can change them."""

STARTABLE_STATES: frozenset[ShownState] = frozenset({"planned", "preempted"})
"""States of runs that a worker may start or resume."""

StopReason = Literal["cancelled", "pruned"]
"""Why a run was stopped on purpose; also its state from then on."""

WorkerEnd = Literal["done", "failed", "preempted"]
"""How a worker ended, if orderly; a `preempted` run can be resumed."""

WorkerState = Literal["starting", "training"] | WorkerEnd
"""The state that a worker reports in its heartbeat."""

ACTIVE_STATES: frozenset[WorkerState] = frozenset({"starting", "training"})
"""States of a worker that has not ended."""

AttemptEnd = WorkerEnd | Literal["retry", "parked", "forgotten"]
"""How an attempt ended. `retry`: an error that is not the run's fault; `parked`: too often, until the next command.
`forgotten`: earlier deaths no longer count."""

TrialPhase = Literal["complete", "pruned", "failed", "running", "interrupted"]
"""States of a trial (Optuna's `TrialState` has fewer); an `interrupted` trial is waiting for a worker to resume it."""


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
    PARKED = 9
    """Errors that are not the run's fault, too often in a row: it stays as it is until the next command."""
    RETRY = os.EX_TEMPFAIL
    """An error that is not the run's fault."""


def should_restart(code: int) -> bool:
    """Whether a worker with this exit code (negative: killed by a signal) should be started again."""
    return code < 0 or code > 128 or code in {WorkerExit.PREEMPTED, WorkerExit.RETRY}
