"""Versions of this project and of what it stands on."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import rdc_sweeps
from rdc_sweeps.doctor.findings import Finding

NEEDED = ("torch", "torchvision", "timm", "wandb", "numpy", "pydantic", "filelock", "scikit-image")
OPTIONAL = {
    "optuna": "tune",
    "submitit": "slurm",
    "segment-anything": "sam",
    "psycopg": "postgres",
}
"""Packages that some commands need, and the extra that brings them."""


def examine_software() -> Iterator[Finding]:
    """The project, Python, the packages, and whether PyTorch can be imported."""
    yield Finding("project", "ok", f"rdc-sweeps {rdc_sweeps.__version__}, commit {_commit() or 'unknown'}")
    yield Finding("python", "ok", platform.python_version())
    found = {name: _version(name) for name in (*NEEDED, *OPTIONAL)}
    missing = [name for name in NEEDED if found[name] is None]
    yield Finding(
        "packages",
        "problem" if missing else "ok",
        ", ".join(f"{name} {number}" for name, number in found.items() if number)
        + (f"; missing: {', '.join(missing)}" if missing else ""),
        "install the project again: pip install rdc-sweeps" if missing else None,
    )
    absent = [f"{name} ({extra})" for name, extra in OPTIONAL.items() if found[name] is None]
    if absent:
        yield Finding("extras", "ok", f"not installed: {', '.join(absent)}; pip install 'rdc-sweeps[...]' adds them")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    try:
        from rdc_sweeps.runs.environment import describe_environment
    except (ImportError, OSError):
        # PyTorch is broken, which is said elsewhere.
        return None
    commit: str | None = describe_environment()["commit"]
    return commit
