"""Stop signals: those that a scheduler, a terminal or a person sends to end a process in order."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

REPEAT_SECONDS = 0.5
"""Until an ignored interrupt is repeated: Python also ignores one that comes while it still tells of the last."""

INTERRUPTED = 128 + signal.SIGINT
"""Exit code of an interrupted process."""

KEPT = "interrupted; finished work is kept"
"""What an interrupted command says."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


@contextmanager
def stop_signals_set(stop: threading.Event) -> Iterator[None]:
    """Make stop signals set `stop`; does nothing outside the main thread, which alone receives signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Make SIGTERM raise KeyboardInterrupt, so that a background process stops like one at a terminal.

    Interrupts that are lost on the way are raised again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before, hook = signal.signal(signal.SIGTERM, interrupt), sys.unraisablehook
    sys.unraisablehook = _repeat_interrupt
    try:
        yield
    except Exception as error:
        # What Pydantic makes of an interrupt that comes while it builds a validator.
        if type(error).__name__ == "SchemaError" and "KeyboardInterrupt" in str(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)


def _repeat_interrupt(unraisable: "sys.UnraisableHookArgs") -> None:
    """Repeat an interrupt that Python has ignored, because it came in a callback of an import, say."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        threading.Timer(REPEAT_SECONDS, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)


def ignore_stop_signals() -> None:
    """Leave it to another process to decide what a signal to the whole group means."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
