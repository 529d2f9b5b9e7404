"""What an examination finds."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rdc_sweeps.dispatch.slurm.commands import environment

Level = Literal["ok", "warning", "problem"]

COMMAND_SECONDS = 10.0


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, how it is, and what to do about it."""

    topic: str
    level: Level
    text: str
    remedy: str | None = None


def output(command: Sequence[str]) -> str | None:
    """What a command prints; None if there is none, or it fails or hangs."""
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
