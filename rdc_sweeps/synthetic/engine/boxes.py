"""Boxes and their faces: every visible surface of a scene is a rectangle."""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]
Vector = tuple[float, float, float]


class Pattern(IntEnum):
    """Textures of surfaces."""

    PLAIN = 0
    WOOD = 1
    PLANKS = 2
    TILES = 3
    STRIPES = 4
    PLAID = 5
    PILE = 6
    PAINTING = 7
    SPINES = 8
    SCREEN = 9
    OUTDOORS = 10


class Material(NamedTuple):
    """A pattern (of rooms, or of another renderer) with its two colours (linear RGB) and its period in metres."""

    pattern: IntEnum
    colour: Colour
    second: Colour
    period: float = 1.0


class Box(NamedTuple):
    """A box; x right, y up, z away, metres. It is tilted about its own x axis, then turned about y, radians."""

    label: int
    material: Material
    centre: Vector
    half: Vector
    turn: float = 0.0
    tilt: float = 0.0


@dataclass(frozen=True)
class Quads:
    """Q rectangles `origin + u * across + v * down` with u and v in [0, 1].

    Attributes:
        origin, across, down: (Q, 3) metres.
        normal: (Q, 3) unit, towards the visible side.
        label: (Q,) semantic class.
        material: (Q,) index into `materials`.
    """

    origin: NDArray[np.float64]
    across: NDArray[np.float64]
    down: NDArray[np.float64]
    normal: NDArray[np.float64]
    label: NDArray[np.int64]
    material: NDArray[np.int64]
    materials: tuple[Material, ...]


# The six faces of the box [-1, 1]^3, as corner, edge across, edge down and outward normal.
# Edges run right (or away) and down, so that grain and book spines stand upright on every side.
_CORNER = np.array([[1, 1, -1], [-1, 1, -1], [-1, 1, -1], [-1, -1, -1], [-1, 1, 1], [-1, 1, -1]], dtype=float)
_ACROSS = np.array([[0, 0, 2], [0, 0, 2], [2, 0, 0], [2, 0, 0], [2, 0, 0], [2, 0, 0]], dtype=float)
_DOWN = np.array([[0, -2, 0], [0, -2, 0], [0, 0, 2], [0, 0, 2], [0, -2, 0], [0, -2, 0]], dtype=float)
_NORMAL = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)


def block(
    label: int, material: Material, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float]
) -> Box:
    """Create a box from its extent along each axis."""
    centre = ((x[0] + x[1]) / 2, (y[0] + y[1]) / 2, (z[0] + z[1]) / 2)
    return Box(label, material, centre, ((x[1] - x[0]) / 2, (y[1] - y[0]) / 2, (z[1] - z[0]) / 2))


def quads_of(boxes: list[Box]) -> Quads:
    """The six outer faces of every box."""
    centre = np.array([box.centre for box in boxes])
    half = np.array([box.half for box in boxes])
    rotation = rotations(boxes)
    to_world = np.swapaxes(rotation * half[:, None, :], 1, 2)
    materials = tuple(box.material for box in boxes)
    return Quads(
        origin=(_CORNER @ to_world + centre[:, None, :]).reshape(-1, 3),
        across=(_ACROSS @ to_world).reshape(-1, 3),
        down=(_DOWN @ to_world).reshape(-1, 3),
        normal=(_NORMAL @ np.swapaxes(rotation, 1, 2)).reshape(-1, 3),
        label=np.repeat([box.label for box in boxes], 6),
        material=np.repeat(np.arange(len(boxes)), 6),
        materials=materials,
    )


def moved(boxes: list[Box], x: float, z: float, turn: float, low: float = 0.0) -> list[Box]:
    """Boxes turned about the y axis by `turn`, then moved to (x, low, z)."""
    cos, sin = math.cos(turn), math.sin(turn)
    there = []
    for box in boxes:
        along, up, out = box.centre
        centre = (x + along * cos + out * sin, up + low, z - along * sin + out * cos)
        there.append(box._replace(centre=centre, turn=box.turn + turn))
    return there


def rotations(boxes: list[Box]) -> NDArray[np.float64]:
    """(N, 3, 3) from each box's own axes to the room's."""
    turn, tilt = np.array([box.turn for box in boxes]), np.array([box.tilt for box in boxes])
    return _turned(turn) @ _tilted(tilt)


def inner_quads(extent: Vector, labels: tuple[int, ...], materials: tuple[Material, ...]) -> Quads:
    """The six inner faces of a box from (0, 0, 0) to `extent`, ordered right, left, top, bottom, far, near."""
    half = np.array(extent) / 2
    return Quads(
        origin=_CORNER * half + half,
        across=_ACROSS * half,
        down=_DOWN * half,
        normal=-_NORMAL,
        label=np.array(labels),
        material=np.arange(6),
        materials=materials,
    )


def joined(first: Quads, second: Quads) -> Quads:
    """Concatenate two sets of rectangles."""
    return Quads(
        origin=np.concatenate([first.origin, second.origin]),
        across=np.concatenate([first.across, second.across]),
        down=np.concatenate([first.down, second.down]),
        normal=np.concatenate([first.normal, second.normal]),
        label=np.concatenate([first.label, second.label]),
        material=np.concatenate([first.material, second.material + len(first.materials)]),
        materials=first.materials + second.materials,
    )


def _turned(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations (N, 3, 3) about y that take +z towards +x."""
    rotation = np.zeros((len(angle), 3, 3))
    rotation[:, 0, 0] = rotation[:, 2, 2] = np.cos(angle)
    rotation[:, 0, 2] = np.sin(angle)
    rotation[:, 2, 0] = -np.sin(angle)
    rotation[:, 1, 1] = 1
    return rotation


def _tilted(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations (N, 3, 3) about x that take +y towards +z."""
    rotation = np.zeros((len(angle), 3, 3))
    rotation[:, 1, 1] = rotation[:, 2, 2] = np.cos(angle)
    rotation[:, 2, 1] = np.sin(angle)
    rotation[:, 1, 2] = -np.sin(angle)
    rotation[:, 0, 0] = 1
    return rotation
