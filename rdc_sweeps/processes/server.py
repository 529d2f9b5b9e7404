"""Imported by the fork server alone: makes it survive the signals that ask runs to stop.

Slurm signals all processes of a job, and a terminal signals its whole group. If the server died of that, its children
would be reported as dead while they are still saving their checkpoints.
"""

import os
import signal

SERVER = os.getpid()

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


def _restore_defaults() -> None:
    """Reset the signals in the server's own children; processes that those fork inherit what they have set up."""
    if os.getppid() == SERVER:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)


for _number in SIGNALS:
    signal.signal(_number, signal.SIG_IGN)
os.register_at_fork(after_in_child=_restore_defaults)
