"""Imported by the fork server alone: makes it survive the signals that ask runs to stop.

Slurm signals all processes of a job, and a terminal signals its whole group. If the server died of that, its children
would be reported as dead while they are still saving their checkpoints.
"""

import os
import signal
from types import FrameType

from rdc_sweeps.processes.signals import STOP_SIGNALS

SERVER = os.getpid()

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


def _restore_defaults() -> None:
    """Reset the signals in the server's own children; processes that those fork inherit what they have set up."""
    if os.getppid() == SERVER:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _end(number: int, frame: FrameType | None) -> None:
    """End a child that is interrupted before it has begun its work, without a traceback."""
    os._exit(128 + number)


# Python resets this signal in the server, and hands the handler on to the children.
signal.signal(signal.SIGINT, _end)
for _number in SIGNALS:
    signal.signal(_number, signal.SIG_IGN)
os.register_at_fork(after_in_child=_restore_defaults)
