"""Imported by the fork server alone: it outlives the signals that ask runs to stop.

Slurm signals all processes of a job, and so does a terminal. If the server died of it, its children would be taken for
dead while they save their checkpoints.
"""

import os
import signal

SERVER = os.getpid()

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


def _as_usual() -> None:
    """Children of the server handle signals as they like; theirs inherit that."""
    if os.getppid() == SERVER:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)


for _number in SIGNALS:
    signal.signal(_number, signal.SIG_IGN)
os.register_at_fork(after_in_child=_as_usual)
