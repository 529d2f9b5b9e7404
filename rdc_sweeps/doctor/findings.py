"""The result of one check, and how checks run commands."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rdc_sweeps.dispatch.slurm.commands import environment

Level = Literal["ok", "warning", "problem"]

COMMAND_SECONDS = 10.0


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was checked, the result, and how to fix a problem."""

    topic: str
    level: Level
    text: str
    remedy: str | None = None


def output(command: Sequence[str]) -> str | None:
    """Standard output of a command; None if it is not installed, fails or hangs."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            env=environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
