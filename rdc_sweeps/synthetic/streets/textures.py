"""Procedural textures of the street: facades, asphalt, foliage, glass, sky."""

from collections.abc import Callable
from enum import IntEnum

import numpy as np

from rdc_sweeps.data.scene import Floats
from rdc_sweeps.synthetic.engine import textures
from rdc_sweeps.synthetic.engine.textures import Places, scattered

STOREY = 3.2
"""Vertical distance between windows of a facade, metres."""
_SHOP = 3.6
"""Height of the ground floor, metres."""


class StreetPattern(IntEnum):
    """Textures of surfaces of the street; the numbers differ from those of the patterns of rooms."""

    FACADE = 32
    ASPHALT = 33
    FOLIAGE = 34
    GLASS = 35
    PANEL = 36
    SIGN = 37
    GRASS = 38
    SKY = 39


def _facade(at: Places) -> Floats:
    """Windows in a grid, larger ones on the ground floor; `period` is the distance between windows."""
    height = at.t * (1 - at.v) / np.maximum(at.v, np.float32(1e-3))
    across = at.s / at.period
    up = (height - np.float32(_SHOP)) / np.float32(STOREY)
    column, storey = np.floor(across), np.floor(up)
    from_middle = np.abs(across - column - np.float32(0.5))
    in_storey = up - storey
    shop = height < np.float32(_SHOP)
    reach = np.where(shop, np.float32(0.42), np.float32(0.2) + np.float32(0.1) * scattered(at.period, at.offset))
    low, high = np.where(shop, np.float32(0.25), np.float32(0.22)), np.float32(0.8)
    level = np.where(shop, height / np.float32(_SHOP), in_storey)
    below_roof = at.t > np.float32(0.5)
    inside = below_roof & (level > low) & (level < high)
    window = inside & (from_middle < reach)
    frame = ~window & (level > low - np.float32(0.05)) & (level < high + np.float32(0.05)) & below_roof
    frame &= from_middle < reach + np.float32(0.045)
    weathering = 1 + np.float32(0.05) * at.noise(0.15, 0.05) + np.float32(0.04) * at.noise(0.5, 0.5)
    colour: Floats = at.colour * weathering
    colour[:, frame | ~below_roof] *= np.float32(1.25)
    colour[:, shop & ~window] *= np.float32(0.75)
    pane = np.float32(0.5) + scattered(column + 57 * storey, at.offset) + np.float32(0.5) * (in_storey - 1)
    return np.where(window, at.second * np.maximum(pane, np.float32(0.3)), colour)


def _asphalt(at: Places) -> Floats:
    """Worn asphalt; `second` is the paint of its edge lines and of dashes every `period` metres, if that is not 0."""
    width = at.s / np.maximum(at.u, np.float32(1e-4))
    worn: Floats = 1 + np.float32(0.07) * at.noise(0.2, 0.02) + np.float32(0.05) * at.noise(0.8, 0.8)
    colour: Floats = at.colour * worn
    dashes = (np.abs(at.s - width / 2) < np.float32(0.08)) & (np.mod(at.t, np.maximum(at.period, 1)) < at.period / 2)
    edges = np.abs(np.minimum(at.s, width - at.s) - np.float32(0.35)) < np.float32(0.07)
    painted = (dashes | edges) & (at.period > 0)
    return np.where(painted, at.second * worn, colour)


def _foliage(at: Places) -> Floats:
    share = np.clip(np.float32(0.5) + np.float32(0.35) * at.noise(0.25, 0.25), 0, 1)
    leaves: Floats = np.maximum(1 + np.float32(0.35) * at.noise(0.9, 0.9), np.float32(0.2))
    return at.mixed(share) * leaves


def _grass(at: Places) -> Floats:
    share = np.clip(np.float32(0.5) + np.float32(0.4) * at.noise(0.1, 0.1), 0, 1)
    return at.mixed(share) * (1 + np.float32(0.12) * at.noise(0.8, 0.8))


def _glass(at: Places) -> Floats:
    """A car's windows (`second`) between its pillars and below its roof."""
    pillar = (np.abs(at.u - np.float32(0.5)) > np.float32(0.45)) | (at.v < np.float32(0.12))
    pillar |= (np.abs(at.u - np.float32(0.5)) < np.float32(0.025)) & (at.period > 0)
    gleam = np.float32(0.6) + np.float32(0.9) * np.clip(1 - at.v - np.float32(0.3) * at.u, 0, 1)
    return np.where(pillar, at.colour, at.second * gleam)


def _panel(at: Places) -> Floats:
    """Front or rear of a car: lamps of colour `second`, number plate, dark bumper."""
    aside = np.abs(at.u - np.float32(0.5))
    colour: Floats = at.colour.copy()
    colour[:, at.v > np.float32(0.72)] = np.float32(0.03)
    lamp = (aside > np.float32(0.3)) & (np.abs(at.v - np.float32(0.35)) < np.float32(0.13))
    plate = (aside < np.float32(0.14)) & (np.abs(at.v - np.float32(0.6)) < np.float32(0.08))
    colour[:, plate] = np.float32(0.75)
    return np.where(lamp, at.second, colour)


def _sign(at: Places) -> Floats:
    rim = np.maximum(np.abs(at.u - np.float32(0.5)), np.abs(at.v - np.float32(0.5))) > np.float32(0.4)
    bar = (np.abs(at.v - np.float32(0.5)) < np.float32(0.12)) & (at.offset % 2 == 0)
    return np.where(rim | bar, at.second, at.colour)


def _sky(at: Places) -> Floats:
    """Clouds of colour `second`; s and t are the direction's azimuth and elevation, u the share of clouds."""
    haze = np.exp(at.t * np.float32(-9))
    clear = at.colour + (np.float32(0.9) - at.colour) * np.float32(0.7) * haze
    density = np.float32(1.1) * at.noise(2.0, 5.0) + np.float32(4) * (at.u - np.float32(0.5))
    cover = np.clip(np.float32(0.5) + np.float32(0.5) * density, 0, 1)
    shaded = at.second * (1 + np.float32(0.07) * at.noise(3.0, 7.0))
    clouded: Floats = clear + (shaded - clear) * cover
    return clouded


_PATTERNS: dict[int, Callable[[Places], Floats]] = {
    StreetPattern.FACADE: _facade,
    StreetPattern.ASPHALT: _asphalt,
    StreetPattern.FOLIAGE: _foliage,
    StreetPattern.GLASS: _glass,
    StreetPattern.PANEL: _panel,
    StreetPattern.SIGN: _sign,
    StreetPattern.GRASS: _grass,
    StreetPattern.SKY: _sky,
}


def colour_of(pattern: int, at: Places) -> Floats:
    """Linear RGB (3, N) of a pattern of the street or of rooms."""
    if pattern not in _PATTERNS:
        return textures.colour_of(pattern, at)
    return np.maximum(_PATTERNS[pattern](at), 0)
