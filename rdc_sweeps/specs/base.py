"""The base class of all specs, and types shared by their fields."""

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Task = Literal["semantic", "depth", "normal"]
"""A dense prediction task."""

Size = tuple[int, int]
"""Height and width in pixels."""


Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""A seed of PyTorch's and NumPy's generators."""

Weight = Annotated[float, Field(ge=0, le=1e4)]
"""A weight in a sum of losses; with more, float32 overflows."""

LearningRate = Annotated[float, Field(gt=0, le=1e20)]
"""A learning rate of Adam: steps of this size are finite in float32, though a training may diverge."""

Temperature = Annotated[float, Field(ge=1e-6, le=1e6)]
"""A divisor of distances, whose quotients must be finite in float32."""

Channels = Annotated[int, Field(ge=1, le=4096)]
"""The width of a layer."""


def added_field(default: Any, *, description: str, **constraints: Any) -> Any:
    """A field that specs got after runs had been trained without it.

    It is left out of what is stored and of ids while it has its default, so that those runs keep their ids.
    """
    return Field(default, exclude_if=lambda value: value == default, description=description, **constraints)


class Spec(BaseModel):
    """Base class of all specs: frozen; unknown fields, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


def _stays_inside(name: str) -> str:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name:
        raise ValueError(f"must be a file name relative to its folder, without '..', found {name!r}")
    return name


RelativeFile = Annotated[str, AfterValidator(_stays_inside)]
"""A POSIX path relative to a folder given by a setting; it must stay inside that folder."""
