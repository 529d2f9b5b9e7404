"""File names in specs: relative, and never out of their folder."""

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator


def _stays_inside(name: str) -> str:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise ValueError(f"must be a file name relative to its folder, without '..', found {name!r}")
    return name


RelativeFile = Annotated[str, AfterValidator(_stays_inside)]
"""A POSIX path relative to a folder that settings name."""
