import time
import weakref

import pytest

from rdc_sweeps.processes.signals import sigterm_interrupts


class Thing:
    """Something with a weak reference."""


def test_an_interrupt_that_python_ignores_comes_again() -> None:
    def interrupted(reference: object) -> None:
        raise KeyboardInterrupt

    things = [Thing()]
    reference = weakref.ref(things[0], interrupted)

    def lose_it() -> None:
        things.clear()
        time.sleep(60)

    with sigterm_interrupts(), pytest.raises(KeyboardInterrupt):
        lose_it()
    assert reference() is None
