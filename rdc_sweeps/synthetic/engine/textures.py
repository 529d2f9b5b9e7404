"""Procedural textures: the colour of a surface at each position on it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.scene import Floats
from rdc_sweeps.synthetic.engine.boxes import Pattern

_SIDE = 512
_TEXELS_PER_METRE = 160.0


@dataclass(frozen=True)
class Places:
    """N positions on surfaces of one pattern.

    Attributes:
        u, v: (N,) in [0, 1] across and down the surface.
        s, t: (N,) the same in metres.
        colour, second: (3, N) the material's colours.
        period: (N,) metres.
        offset: (N,) int, different for each surface.
    """

    u: Floats
    v: Floats
    s: Floats
    t: Floats
    colour: Floats
    second: Floats
    period: Floats
    offset: NDArray[np.int64]

    def noise(self, across: float = 1.0, down: float = 1.0) -> Floats:
        """Fractal noise (N,) of unit variance at these positions; larger factors make it finer."""
        x = (self.s * np.float32(across * _TEXELS_PER_METRE)).astype(np.int64) + self.offset
        y = (self.t * np.float32(down * _TEXELS_PER_METRE)).astype(np.int64) + 3 * self.offset
        values: Floats = _fractal().take((y & (_SIDE - 1)) * _SIDE + (x & (_SIDE - 1)))
        return values

    def mixed(self, share: Floats) -> Floats:
        """Mix the two colours (3, N): 0 is the first."""
        mixed: Floats = self.colour + (self.second - self.colour) * share
        return mixed


def _plain(at: Places) -> Floats:
    return at.colour * (1 + np.float32(0.02) * at.noise())


def _wood(at: Places) -> Floats:
    rings = at.s / at.period + np.float32(0.35) * at.noise(0.6, 0.08)
    grain = np.float32(0.5) + np.float32(0.5) * np.sin(np.float32(2 * np.pi) * rings)
    return at.mixed(grain) * (1 + np.float32(0.06) * at.noise(3, 0.3))


def _planks(at: Places) -> Floats:
    row = np.floor(at.s / at.period)
    shifted = at.t / (8 * at.period) + scattered(row, at.offset)
    tint = scattered(row + 57 * np.floor(shifted), at.offset)
    gap = (np.abs(at.s / at.period - row - np.float32(0.5)) > np.float32(0.46)).astype(np.float32)
    shade: Floats = (1 - np.float32(0.35) * gap) * (1 + np.float32(0.08) * at.noise(1.5, 0.15))
    return at.mixed(tint) * shade


def _tiles(at: Places) -> Floats:
    x, y = at.s / at.period, at.t / at.period
    column, line = np.floor(x), np.floor(y)
    joint = np.maximum(np.abs(x - column - np.float32(0.5)), np.abs(y - line - np.float32(0.5))) > np.float32(0.465)
    tint = np.float32(0.12) * scattered(column + 57 * line, at.offset)
    return at.mixed(np.where(joint, np.float32(1), tint)) * (1 + np.float32(0.04) * at.noise())


def _stripes(at: Places) -> Floats:
    wave = np.sin(np.float32(2 * np.pi) * at.s / at.period)
    return at.mixed(np.clip(np.float32(0.5) + np.float32(1.5) * wave, 0, 1)) * (1 + np.float32(0.03) * at.noise())


def _plaid(at: Places) -> Floats:
    across = np.mod(at.s / at.period, 1) < np.float32(0.4)
    down = np.mod(at.t / at.period, 1) < np.float32(0.4)
    share = np.float32(0.5) * (across.astype(np.float32) + down.astype(np.float32))
    return at.mixed(share) * (1 + np.float32(0.05) * at.noise(2, 2))


def _pile(at: Places) -> Floats:
    share = np.clip(np.float32(0.4) + np.float32(0.3) * at.noise(0.7, 0.7), 0, 1)
    return at.mixed(share) * (1 + np.float32(0.1) * at.noise(5, 5))


def _painting(at: Places) -> Floats:
    land = (at.v - np.float32(0.55) + np.float32(0.12) * at.noise(0.8, 0.1) > 0).astype(np.float32)
    fields = scattered(np.floor(at.u * 4) + 57 * np.floor(at.v * 3), at.offset)
    share = np.where(at.offset % 2 == 0, land, fields)
    colour = at.mixed(share) * (1 + np.float32(0.2) * at.noise(1.2, 1.2))
    margin = np.maximum(np.abs(at.u - np.float32(0.5)), np.abs(at.v - np.float32(0.5))) > np.float32(0.42)
    colour[:, margin] = np.float32(0.8)
    return colour


def _spines(at: Places) -> Floats:
    place = at.s / at.period + np.float32(0.25) * np.sin(np.float32(9.7) * at.s / at.period)
    book = np.floor(place)
    tone, tall = scattered(book, at.offset), scattered(book, at.offset + 101)
    hue = np.float32(6.283) * scattered(book, at.offset + 211)
    phase = np.array([[0.0], [2.1], [4.2]], dtype=np.float32)
    colour: Floats = (np.float32(0.06) + np.float32(0.4) * tone * tone) * (1 + np.float32(0.45) * np.sin(hue + phase))
    dark = (at.v < np.float32(0.25) * tall) | (place - book > np.float32(0.88))
    band = np.abs(at.v - np.float32(0.45)) < np.float32(0.04)
    colour[:, band] = np.float32(0.6) * colour[:, band] + np.float32(0.25)
    colour[:, dark] *= np.float32(0.25)
    return colour


def _screen(at: Places) -> Floats:
    gleam = np.clip(np.float32(0.7) - np.abs(at.u + np.float32(0.6) * at.v - np.float32(0.9)) * 3, 0, 1)
    rim = np.maximum(np.abs(at.u - np.float32(0.5)), np.abs(at.v - np.float32(0.5))) > np.float32(0.465)
    return at.mixed(np.where(rim, np.float32(0), np.float32(0.35) + gleam))


def _outdoors(at: Places) -> Floats:
    sky = np.array([[0.75], [0.9], [1.1]], dtype=np.float32) * (np.float32(1.5) - np.float32(0.4) * at.v)
    skyline = at.v - np.float32(0.62) + np.float32(0.06) * at.noise(0.5, 0.01)
    green = at.second * (np.float32(1.2) + np.float32(0.4) * at.noise())
    colour = np.where((skyline > 0), green, sky)
    cross = np.minimum(np.abs(at.u - np.float32(0.5)) * at.s / np.maximum(at.u, np.float32(1e-3)), 1)
    bar = (cross < np.float32(0.02)) | (np.abs(at.v - np.float32(0.4)) < np.float32(0.012))
    return np.where(bar, at.colour, colour)


_PATTERNS: dict[int, Callable[[Places], Floats]] = {
    Pattern.PLAIN: _plain,
    Pattern.WOOD: _wood,
    Pattern.PLANKS: _planks,
    Pattern.TILES: _tiles,
    Pattern.STRIPES: _stripes,
    Pattern.PLAID: _plaid,
    Pattern.PILE: _pile,
    Pattern.PAINTING: _painting,
    Pattern.SPINES: _spines,
    Pattern.SCREEN: _screen,
    Pattern.OUTDOORS: _outdoors,
}


def colour_of(pattern: int, at: Places) -> Floats:
    """Linear RGB (3, N) of a pattern."""
    return np.maximum(_PATTERNS[pattern](at), 0)


def scattered(number: Floats, offset: NDArray[np.int64]) -> Floats:
    """Hash each integer to a pseudo-random value in [0, 1)."""
    mixed = (number.astype(np.int64) + 7919 * offset) * 2654435761
    return ((mixed >> 13) & 0xFFFF).astype(np.float32) / np.float32(0x10000)


@cache
def _fractal() -> Floats:
    """A seamless tile of noise with unit variance and amplitude proportional to 1 / frequency."""
    white = np.random.default_rng(0).standard_normal((_SIDE, _SIDE))
    y, x = np.meshgrid(np.fft.fftfreq(_SIDE), np.fft.fftfreq(_SIDE), indexing="ij")
    frequency = np.hypot(y, x)
    spectrum = np.fft.fft2(white) / np.maximum(frequency, 4 / _SIDE)
    spectrum[0, 0] = 0
    tile: Floats = np.fft.ifft2(spectrum).real.astype(np.float32)
    tile /= tile.std()
    return tile
