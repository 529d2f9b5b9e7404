"""The software and hardware that trained a run: commit, packages, host and device."""

import os
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("rdc-sweeps", "torch", "torchvision", "timm", "numpy", "scikit-image", "wandb")


def describe_environment() -> dict[str, Any]:
    """This process's software and hardware as plain values; no environment variables, which may hold secrets."""
    # Imported here, so that versions can be read where PyTorch is broken.
    import torch

    return {
        "commit": code_commit(),
        "packages": {name: found for name in PACKAGES if (found := package_version(name))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


def package_version(package: str) -> str | None:
    """The version of an installed package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def code_commit() -> str | None:
    """The commit of the code, with `+` if there are uncommitted changes; None outside a checkout."""
    folder = Path(__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if head.returncode else head.stdout.strip() + ("+" if changed.stdout.strip() else "")
