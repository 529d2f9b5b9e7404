"""Shades the visible surfaces: surface colours, shadows, and the camera's response."""

from collections.abc import Callable

import numpy as np

from rdc_sweeps.data.scene import Floats
from rdc_sweeps.synthetic.engine.boxes import Box, Quads, rotations
from rdc_sweeps.synthetic.engine.dice import Dice
from rdc_sweeps.synthetic.engine.raster import Camera, Hits
from rdc_sweeps.synthetic.engine.textures import Places


def albedo(quads: Quads, hits: Hits, colours: Callable[[int, Places], Floats]) -> Floats:
    """Colour (3, H, W) of the surface at every pixel; `colours` computes the colours of a pattern."""
    across = np.linalg.norm(quads.across, axis=1).astype(np.float32)
    down = np.linalg.norm(quads.down, axis=1).astype(np.float32)
    pattern = np.array([m.pattern for m in quads.materials], dtype=np.int8)[quads.material]
    colour = np.array([m.colour for m in quads.materials], dtype=np.float32)[quads.material].T
    second = np.array([m.second for m in quads.materials], dtype=np.float32)[quads.material].T
    period = np.array([m.period for m in quads.materials], dtype=np.float32)[quads.material]

    flat, u, v = hits.quad.ravel(), hits.u.ravel(), hits.v.ravel()
    found = np.empty((3, flat.size), dtype=np.float32)
    seen = pattern[flat]
    for kind in np.flatnonzero(np.bincount(seen)).tolist():
        pixels = np.flatnonzero(seen == kind)
        quad, at_u, at_v = flat[pixels], u[pixels], v[pixels]
        places = Places(
            u=at_u,
            v=at_v,
            s=at_u * across[quad],
            t=at_v * down[quad],
            colour=colour.take(quad, axis=1),
            second=second.take(quad, axis=1),
            period=period[quad],
            offset=quad.astype(np.int64) * 37,
        )
        found[:, pixels] = colours(kind, places)
    return found.reshape(3, *hits.quad.shape)


def places_of(hits: Hits, camera: Camera) -> Floats:
    """Positions (3, H, W) in the scene of the surfaces that the pixels see."""
    place: Floats = np.tensordot(camera.axes.astype(np.float32).T, hits.rays * hits.depth, axes=1)
    place += camera.position.astype(np.float32)[:, None, None]
    return place


def lit(place: Floats, blockers: list[Box], source: Floats, near: float, hardness: float) -> Floats:
    """Share (H, W) of a lamp's light that is not blocked by boxes, computed at every other pixel.

    Args:
        place: (3, H, W) positions.
        blockers: Boxes, all below the lamp.
        source: (3,) position of the lamp.
        near: A box closer to the position than this share of the ray to the lamp casts no shadow on it.
        hardness: A box that covers more than 1 / hardness of the ray casts its full shadow.
    """
    grid = place[:, ::2, ::2]
    # The lamp is above all boxes, so a box only shades positions below its top.
    upwards = np.argsort(grid[1], axis=None)
    points = grid.reshape(3, -1)[:, upwards]
    tops = [box.centre[1] + (box.half[1] if box.tilt == 0 else max(box.half)) for box in blockers]
    lower = np.searchsorted(points[1], np.array(tops, dtype=np.float32)).tolist()
    share = np.ones(len(upwards), dtype=np.float32)
    for box, rotation, count in zip(blockers, rotations(blockers), lower, strict=True):
        to_box = (rotation.T / np.array(box.half)[:, None]).astype(np.float32)
        centre = np.array(box.centre, dtype=np.float32)
        # The part of the ray from the point (0) to the lamp (1) that is inside the box.
        start = to_box @ points[:, :count]
        start -= (to_box @ centre)[:, None]
        way = (to_box @ (source - centre))[:, None] - start
        scale = 1 / np.where(np.abs(way) < 1e-6, np.float32(1e-6), way)
        middle, reach = start * scale, np.abs(scale)
        enters = np.maximum(-(middle + reach).min(axis=0), np.float32(near))
        leaves = np.minimum((reach - middle).min(axis=0), 1)
        # A ray that only grazes the box counts partly, which softens the edge of the shadow.
        share[:count] *= 1 - np.float32(0.85) * np.clip((leaves - enters) * np.float32(hardness), 0, 1)
    placed = np.empty_like(share)
    placed[upwards] = share
    whole = placed.reshape(grid.shape[1:]).repeat(2, axis=0).repeat(2, axis=1)
    return whole[: place.shape[1], : place.shape[2]]


def developed(light: Floats, dice: Dice, generator: np.random.Generator) -> Floats:
    """Turn light (3, H, W) into an image (H, W, 3) in [0, 1]: exposure, white balance, blur and noise."""
    tint = np.array([dice.between(0.95, 1.06), 1.0, dice.between(0.92, 1.05)], dtype=np.float32)
    light *= (tint * np.float32(dice.between(0.2, 0.36) / max(float(light.mean()), 1e-3)))[:, None, None]
    # A square root stands in for sRGB's transfer curve, and the shoulder keeps highlights from clipping hard.
    image = _blurred(np.sqrt(light / (1 + np.float32(0.25) * light)))
    image += np.float32(dice.between(0.005, 0.018)) * generator.standard_normal(image.shape, dtype=np.float32)
    return np.ascontiguousarray(np.clip(image, 0, 1).transpose(1, 2, 0))


def _blurred(image: Floats) -> Floats:
    """Blur (3, H, W) by the camera's point spread function, three pixels wide."""
    for axis in (1, 2):
        along = image.swapaxes(0, axis)
        side = np.float32(0.15) * along
        spread = np.float32(0.7) * along
        spread[1:] += side[:-1]
        spread[:-1] += side[1:]
        spread[0] += side[0]
        spread[-1] += side[-1]
        image = spread.swapaxes(0, axis)
    return image
