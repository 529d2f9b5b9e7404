"""Ranges from which a study draws the values of a field."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from rdc_sweeps.specs.base import Spec

GOLDEN = 0.6180339887498949
"""Fraction of a range at which an inner value is probed; irrational, so that a field that rounds changes the value."""

MAX_PROBES = 1000
"""Maximum number of inner integers of a range that are probed."""


def _rising(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise ValueError(f"the lowest value must be less than the highest, found {list(ends)}")
    return ends


class UniformRange(Spec):
    """Any number between two bounds."""

    uniform: tuple[float, float] = Field(description="Lowest and highest value.")

    _ends = field_validator("uniform")(_rising)

    def contains(self, value: Any) -> bool:
        """Whether a value may be drawn."""
        return _is_number(value) and self.uniform[0] <= value <= self.uniform[1]

    def probes(self) -> list[Any]:
        """Values that show whether a field accepts the whole range: the bounds first, then inner values."""
        low, high = self.uniform
        return [low, high, low + GOLDEN * (high - low)]

    def grid(self, points: int) -> list[Any]:
        """Values at equal distances, including both bounds."""
        low, high = self.uniform
        inner = [low + (high - low) * index / (points - 1) for index in range(1, points - 1)]
        return [low, *inner, high]


class LogRange(Spec):
    """Any number between two positive bounds, uniform in its logarithm."""

    log: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = Field(
        description="Lowest and highest value."
    )

    _ends = field_validator("log")(_rising)

    def contains(self, value: Any) -> bool:
        """Whether a value may be drawn."""
        return _is_number(value) and self.log[0] <= value <= self.log[1]

    def probes(self) -> list[Any]:
        """Values that show whether a field accepts the whole range: the bounds first, then inner values."""
        low, high = self.log
        return [low, high, low * (high / low) ** GOLDEN]

    def grid(self, points: int) -> list[Any]:
        """Values at equal ratios, including both bounds."""
        low, high = self.log
        inner = [low * (high / low) ** (index / (points - 1)) for index in range(1, points - 1)]
        return [low, *inner, high]


class IntegerRange(Spec):
    """An integer between two bounds."""

    integer: tuple[int, int] = Field(description="Lowest and highest value.")
    step: int = Field(1, ge=1, description="Distance between two values, counted from the lowest.")
    log: bool = Field(False, description="Uniform in the logarithm.")

    _ends = field_validator("integer")(_rising)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        low, high = self.integer
        if self.log and (low < 1 or self.step > 1):
            raise ValueError("a logarithmic range must start at 1 or above and have no step")
        if (high - low) % self.step:
            raise ValueError(f"steps of {self.step} from {low} do not reach {high}")
        return self

    def contains(self, value: Any) -> bool:
        """Whether a value may be drawn."""
        low, high = self.integer
        return isinstance(value, int) and low <= value <= high and not (value - low) % self.step

    def probes(self) -> list[Any]:
        """Values that show whether a field accepts the whole range: the bounds first, then inner values."""
        low, high = self.integer
        inner = range(low + self.step, high, self.step)
        return [low, high, *inner[:: max(1, -(-len(inner) // MAX_PROBES))]]

    def grid(self, points: int) -> list[Any]:
        """Values at about equal distances or ratios, including both bounds."""
        low, high = self.integer
        if self.log:
            return sorted({round(value) for value in LogRange(log=(low, high)).grid(points)})
        count = (high - low) // self.step
        return sorted({low + self.step * round(count * index / (points - 1)) for index in range(points)})


class ChoiceRange(Spec):
    """One of several values: numbers, strings, booleans, null or lists of these."""

    choice: tuple[Any, ...] = Field(min_length=2)

    @field_validator("choice")
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        for index, value in enumerate(values):
            if any(_same(value, other) for other in values[:index]):
                raise ValueError(f"{value!r} is listed more than once")
            if isinstance(value, Mapping):
                raise ValueError(f"{value!r} is a mapping; tune its fields one by one")
        return values

    def contains(self, value: Any) -> bool:
        """Whether a value may be drawn."""
        return any(_same(value, other) for other in self.choice)

    def probes(self) -> list[Any]:
        """All values."""
        return list(self.choice)

    def grid(self, points: int) -> list[Any]:
        """All values."""
        return list(self.choice)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(one: Any, other: Any) -> bool:
    """Equality that distinguishes true from 1, as YAML does."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _kind(value: Any) -> str | None:
    """The kind of range that a mapping describes: `integer: [1, 8], log: true` is an integer range."""
    written = value if isinstance(value, Mapping) else vars(value) if isinstance(value, Spec) else {}
    return next((kind for kind in ("integer", "uniform", "choice", "log") if kind in written), None)


Range = Annotated[
    Annotated[UniformRange, Tag("uniform")]
    | Annotated[LogRange, Tag("log")]
    | Annotated[IntegerRange, Tag("integer")]
    | Annotated[ChoiceRange, Tag("choice")],
    Discriminator(
        _kind,
        custom_error_type="range",
        custom_error_message="must be {uniform: [a, b]}, {log: [a, b]}, {integer: [a, b]} or {choice: [...]}",
    ),
]
