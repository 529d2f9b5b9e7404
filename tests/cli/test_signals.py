"""A command that is interrupted ends in order, from its first moments on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def catches(process: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of a signal."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(mask >> (number - 1) & 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "seconds", [0.0, 0.3, *(pytest.param(delay, marks=pytest.mark.slow) for delay in (0.6, 1.0, 2.0, 4.0, 8.0))]
)
def test_an_interrupted_sweep_ends_without_a_traceback(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals, seconds: float
) -> None:
    process = subprocess.Popen(
        # Longer than any of the delays.
        [sys.executable, "-m", "rdc_sweeps", "run", "tiny", "--set", "training.epochs=100"],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not catches(process.pid, signal.SIGTERM) and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(seconds)
    # A terminal interrupts all processes of its group, `kill` only one.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    output, _ = process.communicate(timeout=120)
    # In a shell, both are 130; Python may end itself by SIGINT if that arrived while it executed a string.
    assert process.returncode in {130, -signal.SIGINT}, output
    assert "interrupted; finished work is kept" in output
    assert "Traceback" not in output
