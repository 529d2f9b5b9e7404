import gc
import subprocess
import sys
from pathlib import Path

import pytest

from rdc_sweeps.processes.garbage import lasting_imports

SCRIPT = """
import gc
from rdc_sweeps.processes.garbage import lasting_imports

with lasting_imports():
    pass
assert gc.get_freeze_count() == 0, "nothing new was imported"
with lasting_imports():
    import decimal
    assert not gc.isenabled()
assert gc.isenabled()
assert gc.get_freeze_count() > 0
"""

FORKED = """
import gc, multiprocessing


def child(connection):
    connection.send((gc.isenabled(), gc.get_freeze_count() > 0))


if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rdc_sweeps.processes.server"])
    here, there = context.Pipe()
    context.Process(target=child, args=(there,)).start()
    assert here.recv() == (True, True)
"""


@pytest.mark.parametrize("script", [SCRIPT, FORKED], ids=["imported", "forked"])
def test_what_is_imported_is_never_collected_and_all_else_is(script: str, tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(script)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_paused_collector_stays_paused() -> None:
    gc.disable()
    try:
        with lasting_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
