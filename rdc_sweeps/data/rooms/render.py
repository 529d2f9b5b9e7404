"""Rendering: a room to its picture, depth, normals and classes."""

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.rooms.boxes import Pattern, Quads, rotations
from rdc_sweeps.data.rooms.dice import Dice
from rdc_sweeps.data.rooms.floorplan import FurnishedRoom
from rdc_sweeps.data.rooms.layout import furnished
from rdc_sweeps.data.rooms.raster import Hits, cast
from rdc_sweeps.data.rooms.textures import Places, colour_of
from rdc_sweeps.data.scene import Scene
from rdc_sweeps.specs.base import Size

GENERATOR_VERSION = 1
"""Raised whenever the same seed and index give another scene."""

Floats = NDArray[np.float32]
_PATTERNS = tuple(Pattern)


def render(seed: int, index: int, size: Size) -> Scene:
    """Scene `index` of the rooms that `seed` determines, with all labels; the scene is the same at every size."""
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
    """What a camera makes of the light: exposure, white balance, blur, noise; (H, W, 3) in [0, 1]."""
    light = _albedo(room.quads, hits) * _light(room, hits, dice)[..., None]
    tint = np.array([dice.between(0.94, 1.08), 1.0, dice.between(0.9, 1.06)], dtype=np.float32)
    exposure = np.float32(dice.between(0.2, 0.36) / max(float(light.mean()), 1e-3))
    light *= tint * exposure
    # A square root stands in for sRGB's transfer curve, and the shoulder keeps highlights from clipping hard.
    image = np.sqrt(light / (1 + np.float32(0.25) * light))
    image = _blurred(image)
    image += np.float32(dice.between(0.005, 0.018)) * generator.standard_normal(image.shape, dtype=np.float32)
    np.clip(image, 0, 1, out=image)
    return image


def _albedo(quads: Quads, hits: Hits) -> Floats:
    """Colour (H, W, 3) of the surface at every pixel."""
    across = np.linalg.norm(quads.across, axis=1).astype(np.float32)
    down = np.linalg.norm(quads.down, axis=1).astype(np.float32)
    material = quads.material
    pattern = np.array([m.pattern for m in quads.materials], dtype=np.int8)[material]
    colour = np.array([m.colour for m in quads.materials], dtype=np.float32)[material]
    second = np.array([m.second for m in quads.materials], dtype=np.float32)[material]
    period = np.array([m.period for m in quads.materials], dtype=np.float32)[material]

    flat = hits.quad.ravel()
    u, v = hits.u.ravel(), hits.v.ravel()
    albedo = np.empty((flat.size, 3), dtype=np.float32)
    seen = pattern[flat]
    for kind in np.flatnonzero(np.bincount(seen)).tolist():
        pixels = np.flatnonzero(seen == kind)
        quad = flat[pixels]
        at_u, at_v = u[pixels], v[pixels]
        albedo[pixels] = colour_of(
            _PATTERNS[kind],
            Places(
                u=at_u,
                v=at_v,
                s=at_u * across[quad],
                t=at_v * down[quad],
                colour=colour[quad],
                second=second[quad],
                period=period[quad],
                offset=quad.astype(np.int64) * 37,
            ),
        )
    return albedo.reshape(*hits.quad.shape, 3)


def _light(room: FurnishedRoom, hits: Hits, dice: Dice) -> Floats:
    """Light (H, W) that falls on every pixel: ambient with soft corners, a lamp, daylight and shadows on the floor."""
    normal = room.quads.normal.astype(np.float32)[hits.quad]
    place = (hits.rays * hits.depth[..., None]) @ room.camera.axes.astype(np.float32)
    place += room.camera.position.astype(np.float32)

    corners = np.float32(1)
    light = np.float32(0.36) + np.float32(0.06) * normal[..., 1]
    for axis, length in enumerate(room.extent):
        from_wall = np.minimum(place[..., axis], np.float32(length) - place[..., axis])
        facing = 1 - np.abs(normal[..., axis])
        corners = corners * (1 - np.float32(0.4) * facing * np.exp(from_wall * np.float32(-4)))
    light *= corners

    to_lamp = room.lamp - place
    square = np.einsum("hwc,hwc->hw", to_lamp, to_lamp)
    incident = np.einsum("hwc,hwc->hw", to_lamp, normal) / np.sqrt(square)
    np.maximum(incident, 0, out=incident)
    incident *= _lit(place, room)
    light += np.float32(dice.between(0.7, 1.4)) * corners * incident / (1 + np.float32(0.2) * square)
    if room.daylight.any():
        light += np.float32(dice.between(0.15, 0.4)) * np.maximum(normal @ room.daylight, 0)
    # Windows shine by themselves.
    light[_is_outdoors(room.quads)[hits.quad]] = np.float32(dice.between(0.8, 1.4))

    return light


def _is_outdoors(quads: Quads) -> NDArray[np.bool_]:
    pattern = np.array([m.pattern is Pattern.OUTDOORS for m in quads.materials])
    return pattern[quads.material]


def _lit(place: Floats, room: FurnishedRoom) -> Floats:
    """Share (H, W) of the lamp that large boxes leave to every place, on a grid of every other pixel."""
    grid = place[::2, ::2]
    points = np.ascontiguousarray(grid.reshape(-1, 3).T)
    share = np.ones(points.shape[1], dtype=np.float32)
    for box, rotation in zip(room.blockers, rotations(room.blockers).astype(np.float32), strict=True):
        half, centre = np.array(box.half, dtype=np.float32), np.array(box.centre, dtype=np.float32)
        to_box = rotation.T / half[:, None]
        # Along the way from the point (0) to the lamp (1), which part is inside of the box?
        start = to_box @ (points - centre[:, None])
        way = (to_box @ (room.lamp - centre))[:, None] - start
        scale = 1 / np.where(np.abs(way) < 1e-6, np.float32(1e-6), way)
        middle, reach = start * scale, np.abs(scale)
        enters = np.maximum(-(middle + reach).min(axis=0), np.float32(0.002))
        leaves = np.minimum((reach - middle).min(axis=0), 1)
        # A way that only grazes the box counts in part, which makes the shadow's edge soft.
        share *= 1 - np.float32(0.85) * np.clip((leaves - enters) * np.float32(25), 0, 1)
    whole = np.repeat(np.repeat(share.reshape(grid.shape[:2]), 2, axis=0), 2, axis=1)
    return whole[: place.shape[0], : place.shape[1]]


def _blurred(image: Floats) -> Floats:
    """The camera's point spread: a binomial filter of three pixels each way."""
    for axis in (0, 1):
        side = np.take(image, [0, *range(image.shape[axis] - 1)], axis=axis)
        other = np.take(image, [*range(1, image.shape[axis]), image.shape[axis] - 1], axis=axis)
        image = np.float32(0.7) * image + np.float32(0.15) * (side + other)
    return image
