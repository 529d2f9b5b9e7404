"""Random numbers, drawn in bulk."""

import colorsys
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from rdc_sweeps.synthetic.engine.boxes import Colour

T = TypeVar("T")
_BULK = 1024


class Dice:
    """Random draws from a generator, made in bulk; single draws would take most of the time of a scene."""

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
        """Return True with this probability."""
        return self.unit() < probability

    def whole(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + int((high - low + 1) * self.unit())

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[int(len(options) * self.unit())]

    def colour(self, hue: tuple[float, float], saturation: tuple[float, float], value: tuple[float, float]) -> Colour:
        """A linear RGB colour from ranges of hue, saturation and value; hues outside [0, 1] wrap around."""
        return colorsys.hsv_to_rgb(self.between(*hue) % 1.0, self.between(*saturation), self.between(*value))
