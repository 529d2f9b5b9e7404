"""What all specs share: frozen, no unknown fields, no NaN."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Task = Literal["semantic", "depth", "normal"]
"""A dense prediction task."""

Size = tuple[int, int]
"""Height and width in pixels."""


class Spec(BaseModel):
    """Base of all specs."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
