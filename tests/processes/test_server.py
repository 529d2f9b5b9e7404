import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import multiprocessing, os, signal, sys

number = signal.Signals[sys.argv[1]]


def child(connection):
    connection.send(signal.getsignal(number) == signal.SIG_DFL)
    signal.signal(number, lambda *_: connection.send("told"))
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(0 if callable(signal.getsignal(number)) else 1)
    connection.send(os.waitpid(grandchild, 0)[1])
    connection.recv()
    sys.exit(3)


if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rdc_sweeps.processes.server"])
    here, there = context.Pipe()
    process = context.Process(target=child, args=(there,))
    process.start()
    assert here.recv() is True, "children handle signals as usual"
    assert here.recv() == 0, "and theirs as they do"
    signal.signal(number, lambda *_: None)
    os.killpg(0, number)
    assert here.recv() == "told"
    here.send(None)
    process.join()
    sys.exit(process.exitcode)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2])
def test_children_of_the_fork_server_end_in_order_when_all_are_signalled(
    number: signal.Signals, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), number.name], start_new_session=True, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 3, done.stderr
