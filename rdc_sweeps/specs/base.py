"""The base class of all specs, and types shared by their fields."""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

Task = Literal["semantic", "depth", "normal"]
"""A dense prediction task."""

Size = tuple[int, int]
"""Height and width in pixels."""


class Spec(BaseModel):
    """Base class of all specs: frozen; unknown fields, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _stays_inside(name: str) -> str:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise ValueError(f"must be a file name relative to its folder, without '..', found {name!r}")
    return name


RelativeFile = Annotated[str, AfterValidator(_stays_inside)]
"""A POSIX path relative to a folder given by a setting; it must stay inside that folder."""
