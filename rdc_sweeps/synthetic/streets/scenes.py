"""The `streets` data set: renders the image, classes and disparity of a street."""

import math
from pathlib import Path

import numpy as np

from rdc_sweeps.data.mtan import CITYSCAPES_LAYOUT
from rdc_sweeps.data.scene import Floats, Scene
from rdc_sweeps.specs.base import Size
from rdc_sweeps.specs.dataset import StreetsSpec
from rdc_sweeps.synthetic.engine.dice import Dice
from rdc_sweeps.synthetic.engine.raster import Hits, cast
from rdc_sweeps.synthetic.engine.rendered import RenderedScenes, Renderer
from rdc_sweeps.synthetic.engine.shading import albedo, developed, lit, places_of
from rdc_sweeps.synthetic.engine.textures import Places
from rdc_sweeps.synthetic.streets.layout import Street, street
from rdc_sweeps.synthetic.streets.textures import StreetPattern, colour_of
from rdc_sweeps.synthetic.streets.traffic import SKY

GENERATOR_VERSION = 1
"""Increased whenever the same seed and index give a different scene."""

DISPARITY_AT_1_METRE = 2262.5 * 0.2093 * 256 / 65535
"""Disparity of a surface 1 m away, in the unit of Cityscapes: focal length (pixels at 2048 pixels of width) times
baseline (metres), stored in 256ths of a pixel and read as a fraction of 65535. At 10 m it is 0.185."""

_SUN = 400.0
"""Distance in metres of the lamp that represents the sun."""


def render(seed: int, index: int, size: Size) -> Scene:
    """Render scene `index` of the streets that `seed` determines, with all labels; it is the same at every size."""
    layout, look = (np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence((seed, index)).spawn(2))
    scene = street(Dice(layout))
    hits = cast(scene.quads, scene.camera, size)
    semantic = scene.quads.label.astype(np.int16)[hits.quad]
    # The sky has no disparity, as in Cityscapes.
    disparity = np.where(semantic == SKY, np.float32(0), np.float32(DISPARITY_AT_1_METRE) / hits.depth)
    dice = Dice(look)
    light = _radiance(scene, hits, semantic == SKY, dice)
    return Scene(image=developed(light, dice, look), semantic=semantic, depth=disparity)


def _radiance(scene: Street, hits: Hits, is_sky: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], dice: Dice) -> Floats:
    """Light (3, H, W) that reaches the camera: from surfaces under sun and sky, from the sky, and from haze."""
    clouds = dice.choice((dice.between(0.0, 0.4), dice.between(0.9, 1.2)))
    bright = dice.between(0.75, 1.1)
    place = places_of(hits, scene.camera)
    normals = scene.quads.normal.astype(np.float32)

    azimuth, elevation = dice.between(0, 2 * math.pi), dice.between(0.4, 1.1)
    to_sun = np.array(
        [math.cos(elevation) * math.sin(azimuth), math.sin(elevation), math.cos(elevation) * math.cos(azimuth)],
        dtype=np.float32,
    )
    strength = dice.between(0.9, 1.4) * max(0.0, 1 - clouds)
    light = albedo(scene.quads, hits, colour_of)
    facing_sun = np.float32(strength) * np.maximum(normals @ to_sun, 0)
    # Surfaces that face up see more of the sky; the ground next to houses sees less of it.
    ambient = np.float32(0.42) + np.float32(0.2) * normals[:, 1] + np.float32(0.04) * normals[:, 0]
    ambient *= np.float32(0.65 + 0.35 * min(clouds, 1.0))
    sun = facing_sun[hits.quad]
    if strength > 0:
        source = scene.camera.position.astype(np.float32) + np.float32(_SUN) * to_sun
        sun *= lit(place, scene.blockers, source, near=0.05 / _SUN, hardness=_SUN / 0.5)
    warm = np.array([1.08, 1.0, dice.between(0.78, 0.92)], dtype=np.float32)
    cool = np.array([0.95, 1.0, dice.between(1.02, 1.12)], dtype=np.float32)
    light *= warm[:, None, None] * sun + cool[:, None, None] * ambient[hits.quad]

    sky = _sky(scene, hits, is_sky, clouds, dice) * np.float32(bright)
    haze = 1 - np.exp(hits.depth * np.float32(-dice.between(0.0005, 0.003)))
    light += (np.float32(0.75 * bright) - light) * haze
    light[:, is_sky] = sky
    return light


def _sky(
    scene: Street, hits: Hits, is_sky: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], clouds: float, dice: Dice
) -> Floats:
    """Colour (3, N) of the sky by direction."""
    ray = scene.camera.axes.astype(np.float32).T @ hits.rays[:, is_sky]
    azimuth = np.arctan2(ray[0], ray[2])
    elevation = np.arctan2(ray[1], np.hypot(ray[0], ray[2]))
    count = len(azimuth)
    blue = np.array(dice.colour((0.56, 0.6), (0.35, 0.65), (0.7, 0.95)), dtype=np.float32)
    grey = np.full(3, dice.between(0.7, 0.95), dtype=np.float32)
    places = Places(
        u=np.full(count, clouds, dtype=np.float32),
        v=np.zeros(count, dtype=np.float32),
        s=azimuth,
        t=elevation,
        colour=np.repeat(blue[:, None], count, axis=1),
        second=np.repeat(grey[:, None], count, axis=1),
        period=np.ones(count, dtype=np.float32),
        offset=np.full(count, dice.whole(0, 511)),
    )
    return colour_of(StreetPattern.SKY, places)


STREETS = Renderer("streets", GENERATOR_VERSION, CITYSCAPES_LAYOUT, render)


def open_streets(spec: StreetsSpec, root: Path | None, cache: Path) -> tuple[RenderedScenes, RenderedScenes]:
    """Open the training split, including its held-out last images, and the test split; renders nothing yet."""
    return STREETS.splits(spec, cache)
