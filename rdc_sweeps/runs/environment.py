"""The software and hardware that trained a run: commit, packages, host and device."""

import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import rdc_sweeps
from rdc_sweeps.errors import InfrastructureError

MODULES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "numpy": "numpy",
    "scikit-image": "skimage",
    "wandb": "wandb",
}
"""The module of each package that a training imports."""


def describe_environment() -> dict[str, Any]:
    """This process's software and hardware as plain values; no environment variables, which may hold secrets."""
    # Imported here, so that versions can be read where PyTorch is broken.
    import torch

    return {
        "commit": code_commit(),
        "packages": {"rdc-sweeps": rdc_sweeps.__version__, **_present(package_version)},
        "files": {"rdc-sweeps": str(rdc_sweeps.__file__), **_present(_package_file)},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


def check_packages() -> None:
    """Check that the packages which this process imports are the installed ones, whose versions are recorded.

    Raises:
        InfrastructureError: Other files stand in for some of them.
    """
    problems = []
    for package, file in _present(_package_file).items():
        installed = _installed_folders(package)
        if installed and not any(Path(file).resolve().is_relative_to(folder) for folder in installed):
            problems.append(
                f"{package} is imported from {file}, but version {package_version(package)} is installed in "
                f"{installed[0]}: move that file away, or install what it belongs to"
            )
    if problems:
        raise InfrastructureError("\n".join(problems))


def _present(look: Callable[[str], str | None]) -> dict[str, str]:
    return {package: found for package in MODULES if (found := look(package))}


def _package_file(package: str) -> str | None:
    """The file of a package's module, imported or not; None if there is none."""
    module = sys.modules.get(MODULES[package])
    if module is not None:
        return module.__file__
    spec = find_spec(MODULES[package])
    return spec.origin if spec else None


def _installed_folders(package: str) -> list[Path]:
    """Where the modules of a package may be: its installation, and the checkout of an editable one."""
    try:
        found = distribution(package)
    except PackageNotFoundError:
        return []
    return [Path(str(found.locate_file(""))).resolve(), *_checkout(found)]


def _checkout(found: Distribution) -> list[Path]:
    source = json.loads(found.read_text("direct_url.json") or "{}")
    return [Path(unquote(urlsplit(source["url"]).path)).resolve()] if "dir_info" in source else []


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
