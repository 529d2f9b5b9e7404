"""Calls of Slurm's commands, with a clean environment, a time limit, and errors that say what to do."""

import os
import subprocess
import time
from collections.abc import Sequence

from rdc_sweeps.errors import UnavailableError

TIMEOUT_SECONDS = 120.0
ATTEMPTS = 3
PAUSE_SECONDS = 2.0

KEPT = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER"})
OVERRIDING = frozenset(
    {
        "SBATCH_ARRAY_INX",
        "SBATCH_ERROR",
        "SBATCH_EXPORT",
        "SBATCH_IGNORE_PBS",
        "SBATCH_INPUT",
        "SBATCH_JOB_NAME",
        "SBATCH_NO_REQUEUE",
        "SBATCH_OPEN_MODE",
        "SBATCH_OUTPUT",
        "SBATCH_SIGNAL",
        "SBATCH_WAIT",
    }
)
"""Variables that override the lines of a job file and would break a submission."""


def environment() -> dict[str, str]:
    """This process's environment for a Slurm command.

    Left out are variables of an allocation in which this process may run, and those that change the commands' output.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or not (name.startswith(("SLURM_", "SQUEUE_", "SACCT_", "SCANCEL_")) or name in OVERRIDING)
    }


def call(command: Sequence[str], *, attempts: int = ATTEMPTS, descriptors: Sequence[int] = ()) -> str:
    """Run a command and return its output.

    Args:
        command: Its words.
        attempts: How often a failing command is tried.
        descriptors: Open files for the command to inherit.

    Raises:
        UnavailableError: It does not exist, fails or hangs.
    """
    problem = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=TIMEOUT_SECONDS,
                env=environment(),
                pass_fds=descriptors,
            )
        except FileNotFoundError as error:
            raise UnavailableError(
                f"{command[0]}: there is no such command; use --executor slurm where Slurm's commands are, "
                "on a login node, or --executor local"
            ) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
            continue
        if done.returncode == 0:
            return done.stdout
        problem = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
    raise UnavailableError(f"{command[0]}: {problem}")
