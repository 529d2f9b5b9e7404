"""Versions of this project, of the packages it needs, and of installed extensions."""

import platform
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import get_args

import rdc_sweeps
from rdc_sweeps.doctor.findings import Finding
from rdc_sweeps.runs.environment import code_commit, package_version
from rdc_sweeps.specs.extensions import Group

NEEDED = ("torch", "torchvision", "timm", "wandb", "numpy", "numba", "pydantic", "scikit-image", "scipy", "h5py")
OPTIONAL = {
    "optuna": "tune",
    "submitit": "slurm",
    "segment-anything": "sam",
    "psycopg": "postgres",
    "datasets": "huggingface",
}
"""Packages that only some commands need, and the extra that installs each."""


def examine_software() -> Iterator[Finding]:
    """Report the versions of the project, Python, required and optional packages, and extensions."""
    yield Finding("project", "ok", f"rdc-sweeps {rdc_sweeps.__version__}, commit {code_commit() or 'unknown'}")
    yield Finding("python", "ok", platform.python_version())
    found = {name: package_version(name) for name in (*NEEDED, *OPTIONAL)}
    missing = [name for name in NEEDED if found[name] is None]
    yield Finding(
        "packages",
        "problem" if missing else "ok",
        ", ".join(f"{name} {number}" for name, number in found.items() if number)
        + (f"; missing: {', '.join(missing)}" if missing else ""),
        "reinstall the project: pip install -e . in the checkout" if missing else None,
    )
    absent = {name: extra for name, extra in OPTIONAL.items() if found[name] is None}
    if absent:
        command = f"pip install -e '.[{','.join(absent.values())}]' in the checkout"
        yield Finding("extras", "ok", f"not installed: {', '.join(absent)}; if needed: {command}")
    for group in get_args(Group):
        for point in entry_points(group=group):
            package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
            yield Finding("extension", "ok", f"{group.removeprefix('rdc_sweeps.')}: {point.name}, from {package}")
