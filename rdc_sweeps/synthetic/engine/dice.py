"""Random choices, drawn in bulk."""

import colorsys
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from rdc_sweeps.synthetic.engine.boxes import Colour

T = TypeVar("T")
_BULK = 1024


class Dice:
    """Uniform draws from a generator; asking it for one number at a time would take most of a scene's time."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self._left: list[float] = []

    def unit(self) -> float:
        """Uniform in [0, 1)."""
        if not self._left:
            self._left = self._generator.random(_BULK).tolist()
        return self._left.pop()

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.unit()

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int((high - low + 1) * self.unit())

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[int(len(options) * self.unit())]

    def colour(self, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
        """A linear RGB colour from ranges of hue, saturation and value; hues outside of [0, 1] wrap."""
        return colorsys.hsv_to_rgb(self.between(*hue) % 1.0, self.between(*saturation), self.between(*value))
