"""The plan of a room: places pieces of furniture and hangings without overlap."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.synthetic.engine.boxes import Box, Quads, Vector, inner_quads, joined, moved, quads_of
from rdc_sweeps.synthetic.engine.dice import Dice
from rdc_sweeps.synthetic.engine.raster import Camera
from rdc_sweeps.synthetic.rooms import furniture as pieces
from rdc_sweeps.synthetic.rooms import materials
from rdc_sweeps.synthetic.rooms.furniture import Piece

Wall = Literal["far", "left", "right", "near"]
TURN: dict[Wall, float] = {"far": math.pi, "left": math.pi / 2, "right": -math.pi / 2, "near": 0.0}
"""Rotation in radians of a piece with its back to each wall."""
_SEEN: tuple[Wall, ...] = ("far", "far", "left", "right")
Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class FurnishedRoom:
    """Everything that the image of a room depends on.

    Attributes:
        quads: every surface; the first six are the room's own.
        camera: the camera.
        extent: width, height and depth of the room, metres.
        blockers: the boxes that cast shadows.
        lamp: (3,) position of the ceiling lamp.
        daylight: (3,) direction towards the daylight, zero without a window.
    """

    quads: Quads
    camera: Camera
    extent: Vector
    blockers: list[Box]
    lamp: NDArray[np.float32]
    daylight: NDArray[np.float32]


class Room:
    """A room while it is being furnished; pieces never overlap."""

    def __init__(self, dice: Dice, extent: Vector, camera: Camera) -> None:
        self.dice = dice
        self.width, self.height, self.depth = extent
        self._camera = camera
        self._boxes: list[Box] = []
        self._footprints: list[Rectangle] = []
        self._on_walls: list[tuple[Wall, Rectangle]] = []
        self._daylight: tuple[float, float, float] = (0.0, 0.0, 0.0)
        x, _, z = camera.position.tolist()
        ahead_x, _, ahead_z = (0.5 * camera.axes[2]).tolist()
        self._clear: Rectangle = (x + ahead_x - 0.65, z + ahead_z - 0.65, x + ahead_x + 0.65, z + ahead_z + 0.65)

    def stand(self, piece: Piece, wall: Wall | None = None, at: float | None = None) -> tuple[Wall, float] | None:
        """Place a piece with its back to a wall; returns its position, or None if there is no room for it."""
        for _ in range(6):
            side: Wall = wall if wall is not None else self.dice.choice(_SEEN)
            if self._length(side) - piece.width < 0.1:
                continue
            along = self._along(side, piece.width, 0.05) if at is None else at
            if not piece.width / 2 <= along <= self._length(side) - piece.width / 2:
                continue
            ground = self._ground(side, along, piece)
            hung = (along - piece.width / 2, 0.0, along + piece.width / 2, piece.height)
            if self._is_free(ground) and self._wall_is_free(side, hung):
                self._footprints.append(ground)
                self._on_walls.append((side, hung))
                self._add(piece.boxes, *self._anchor(side, along, 0.01), TURN[side])
                return side, along
        return None

    def hang(self, piece: Piece, low: float) -> Wall | None:
        """Hang a piece on a wall with its lower edge at `low`; returns the wall, or None if there is no room for it."""
        for _ in range(6):
            side = self.dice.choice(_SEEN)
            if self._length(side) - piece.width < 0.3:
                continue
            along = self._along(side, piece.width, 0.1)
            hung = (along - piece.width / 2, low, along + piece.width / 2, low + piece.height)
            inside = hung[0] > 0.05 and hung[2] < self._length(side) - 0.05 and hung[3] < self.height - 0.05
            if inside and self._wall_is_free(side, hung):
                self._on_walls.append((side, hung))
                self._add(piece.boxes, *self._anchor(side, along, 0.0), TURN[side], low)
                return side
        return None

    def place(self, piece: Piece, x: float, z: float, turn: float) -> bool:
        """Place a piece with its centre at (x, z) on the floor, if there is room."""
        reach_x = (abs(math.cos(turn)) * piece.width + abs(math.sin(turn)) * piece.depth) / 2
        reach_z = (abs(math.sin(turn)) * piece.width + abs(math.cos(turn)) * piece.depth) / 2
        ground = (x - reach_x, z - reach_z, x + reach_x, z + reach_z)
        if not self._is_free(ground):
            return False
        self._footprints.append(ground)
        back_x, back_z = x - math.sin(turn) * piece.depth / 2, z - math.cos(turn) * piece.depth / 2
        self._add(piece.boxes, back_x, back_z, turn)
        return True

    def front_of(self, wall: Wall, along: float, distance: float) -> tuple[float, float]:
        """The position on the floor at this distance from a wall."""
        return self._anchor(wall, along, distance)

    def spread(self, box: Box) -> None:
        """Add a box that takes up no space, like a rug."""
        self._boxes.append(box)

    def let_in_daylight(self, wall: Wall) -> None:
        """Let daylight in through a window in this wall."""
        angle = TURN[wall]
        self._daylight = (-math.sin(angle), 0.6, -math.cos(angle))

    def finished(self) -> FurnishedRoom:
        """The room with everything placed so far."""
        dice = self.dice
        wall = materials.walls(dice)
        accent = materials.walls(dice) if dice.chance(0.25) else wall
        extent = (self.width, self.height, self.depth)
        shell = inner_quads(
            extent,
            (pieces.WALL, pieces.WALL, pieces.CEILING, pieces.FLOOR, pieces.WALL, pieces.WALL),
            (wall, wall, materials.ceiling(dice), materials.floor(dice), accent, wall),
        )
        lamp = (self.width * dice.between(0.35, 0.65), self.height - 0.12, self.depth * dice.between(0.3, 0.6))
        return FurnishedRoom(
            joined(shell, quads_of(self._boxes)),
            self._camera,
            extent,
            [box for box in self._boxes if _casts_shadow(box)],
            np.array(lamp, dtype=np.float32),
            np.array(self._daylight, dtype=np.float32),
        )

    def _length(self, wall: Wall) -> float:
        """Metres along a wall."""
        return self.width if wall in ("far", "near") else self.depth

    def _along(self, wall: Wall, width: float, margin: float) -> float:
        """A position along a wall for a piece of this width; on side walls, away from the camera's end."""
        start, end = margin + width / 2, self._length(wall) - margin - width / 2
        if wall in ("left", "right"):
            start = min(max(start, 0.35 * self.depth), end)
        return self.dice.between(start, end)

    def _anchor(self, wall: Wall, along: float, distance: float) -> tuple[float, float]:
        return {
            "far": (along, self.depth - distance),
            "near": (along, distance),
            "left": (distance, along),
            "right": (self.width - distance, along),
        }[wall]

    def _ground(self, wall: Wall, along: float, piece: Piece) -> Rectangle:
        half = piece.width / 2
        if wall in ("far", "near"):
            z = (self.depth - piece.depth, self.depth) if wall == "far" else (0.0, piece.depth)
            return (along - half, z[0], along + half, z[1])
        x = (0.0, piece.depth) if wall == "left" else (self.width - piece.depth, self.width)
        return (x[0], along - half, x[1], along + half)

    def _is_free(self, ground: Rectangle) -> bool:
        inside = ground[0] >= 0 and ground[1] >= 0 and ground[2] <= self.width and ground[3] <= self.depth
        return inside and not any(_meet(ground, other) for other in (self._clear, *self._footprints))

    def _wall_is_free(self, wall: Wall, hung: Rectangle) -> bool:
        return not any(side == wall and _meet(hung, other) for side, other in self._on_walls)

    def _add(self, boxes: list[Box], x: float, z: float, turn: float, low: float = 0.0) -> None:
        self._boxes += moved(boxes, x, z, turn, low)


def _casts_shadow(box: Box) -> bool:
    """Large boxes cast shadows; boards, flat hangings and things on the floor do not."""
    small, middle, large = sorted(box.half)
    return middle * large > 0.04 and small > 0.018 and box.label not in (pieces.PICTURE, pieces.WINDOW, pieces.WALL)


def _meet(first: Rectangle, second: Rectangle) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
