"""Imported by the fork server alone: makes it survive the signals that ask runs to stop, and import without collecting.

Slurm signals all processes of a job, and a terminal signals its whole group. If the server died of that, its children
would be reported as dead while they are still saving their checkpoints.
"""

import gc
import os
import signal
from types import FrameType

from rdc_sweeps.processes.signals import STOP_SIGNALS

SERVER = os.getpid()

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


def _restore_defaults() -> None:
    """Reset signals and the collector in the server's children; what these fork inherits what they have set up."""
    if os.getppid() == SERVER:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        gc.freeze()
        gc.enable()


def _end(number: int, frame: FrameType | None) -> None:
    """End a child that is interrupted before it has begun its work, without a traceback."""
    os._exit(128 + number)


# What the server imports next lasts: the collector would look at it again and again, and so would that of each child.
gc.disable()
# Python resets this signal in the server, and hands the handler on to the children.
signal.signal(signal.SIGINT, _end)
for _number in SIGNALS:
    signal.signal(_number, signal.SIG_IGN)
os.register_at_fork(after_in_child=_restore_defaults)
