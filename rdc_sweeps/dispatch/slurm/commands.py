"""Calling Slurm's commands: a clean environment, a time limit, and errors that say what to do."""

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
"""Variables that win over the lines of a job file, and would break what a submission rests on."""


def environment() -> dict[str, str]:
    """This process's environment for a command of Slurm.

    Without what an allocation that this process may be in says of itself, and what would change the commands' output.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or not (name.startswith(("SLURM_", "SQUEUE_", "SACCT_", "SCANCEL_")) or name in OVERRIDING)
    }


def call(command: Sequence[str], *, attempts: int = ATTEMPTS, descriptors: Sequence[int] = ()) -> str:
    """What a command prints.

    Args:
        command: Its words.
        attempts: How often a command that fails is tried.
        descriptors: Open files that it inherits.

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
