"""The `rooms` data set: renders the image, depth, normals and classes of a room."""

from pathlib import Path

import numpy as np

from rdc_sweeps.data.mtan import NYUV2_LAYOUT
from rdc_sweeps.data.scene import Floats, Scene
from rdc_sweeps.specs.base import Size
from rdc_sweeps.specs.dataset import RoomsSpec
from rdc_sweeps.synthetic.engine.boxes import Pattern
from rdc_sweeps.synthetic.engine.dice import Dice
from rdc_sweeps.synthetic.engine.raster import Hits, cast
from rdc_sweeps.synthetic.engine.rendered import RenderedScenes, Renderer
from rdc_sweeps.synthetic.engine.shading import albedo, developed, lit, places_of
from rdc_sweeps.synthetic.engine.textures import colour_of
from rdc_sweeps.synthetic.rooms.floorplan import FurnishedRoom
from rdc_sweeps.synthetic.rooms.layout import furnished

GENERATOR_VERSION = 2
"""Increased whenever the same seed and index give a different scene."""


def render(seed: int, index: int, size: Size) -> Scene:
    """Render scene `index` of the rooms that `seed` determines, with all labels; it is the same at every size."""
    layout, look = (np.random.Generator(np.random.PCG64(s)) for s in np.random.SeedSequence((seed, index)).spawn(2))
    room = furnished(Dice(layout))
    hits = cast(room.quads, room.camera, size)
    normals = (room.quads.normal @ room.camera.axes.T).astype(np.float32)
    return Scene(
        image=_picture(room, hits, Dice(look), look),
        semantic=room.quads.label.astype(np.int16)[hits.quad],
        depth=hits.depth,
        normal=normals[hits.quad],
    )


def _picture(room: FurnishedRoom, hits: Hits, dice: Dice, generator: np.random.Generator) -> Floats:
    """Render the image (H, W, 3), in [0, 1]."""
    light = albedo(room.quads, hits, colour_of)
    light *= _light(room, hits, dice)
    return developed(light, dice, generator)


def _light(room: FurnishedRoom, hits: Hits, dice: Dice) -> Floats:
    """Light (3, H, W) that falls on every pixel: ambient that fades in corners, a lamp with shadows, daylight."""
    normals = room.quads.normal.astype(np.float32)
    normal = normals.T.take(hits.quad, axis=1)
    place = places_of(hits, room.camera)

    corners = np.ones(hits.depth.shape, dtype=np.float32)
    for axis, length in enumerate(room.extent):
        from_wall = np.minimum(place[axis], np.float32(length) - place[axis])
        facing = 1 - np.abs(normal[axis])
        corners *= 1 - np.float32(0.4) * facing * np.exp(from_wall * np.float32(-4))
    ambient = (np.float32(0.34) + np.float32(0.06) * normal[1]) * corners

    to_lamp = room.lamp[:, None, None] - place
    square = np.square(to_lamp).sum(axis=0)
    incident = np.maximum((to_lamp * normal).sum(axis=0), 0) / np.sqrt(square)
    strength = np.float32(dice.between(0.8, 1.5)) * lit(place, room.blockers, room.lamp, near=0.002, hardness=25)
    lamp = strength * incident * corners / (1 + np.float32(0.2) * square)

    facing_day = np.float32(dice.between(0.15, 0.45)) * np.maximum(normals @ room.daylight, 0)
    ambient += facing_day[hits.quad]
    # Windows emit light.
    outdoors = np.array([m.pattern is Pattern.OUTDOORS for m in room.quads.materials])[room.quads.material][hits.quad]
    ambient[outdoors] = np.float32(dice.between(0.8, 1.4))
    lamp[outdoors] = 0
    warm = np.array([1.1, 1.0, dice.between(0.7, 0.95)], dtype=np.float32)
    cool = np.array([0.95, 1.0, dice.between(1.0, 1.12)], dtype=np.float32)
    light: Floats = warm[:, None, None] * lamp + cool[:, None, None] * ambient
    return light


ROOMS = Renderer("rooms", GENERATOR_VERSION, NYUV2_LAYOUT, render)


def open_rooms(spec: RoomsSpec, root: Path | None, cache: Path) -> tuple[RenderedScenes, RenderedScenes]:
    """Open the training split, including its held-out last images, and the test split; renders nothing yet."""
    return ROOMS.splits(spec, cache)
