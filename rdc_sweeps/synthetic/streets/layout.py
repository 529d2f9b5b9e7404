"""The layout of a street and the things along it, seen from a car.

The road runs along z with its centre at x = 0; the camera is near z = 0 in the right-hand lane; y is up; metres.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from rdc_sweeps.synthetic.engine.boxes import Box, Material, Pattern, Quads, block, inner_quads, joined, moved, quads_of
from rdc_sweeps.synthetic.engine.dice import Dice
from rdc_sweeps.synthetic.engine.raster import Camera, looking
from rdc_sweeps.synthetic.streets import materials, roadside, traffic
from rdc_sweeps.synthetic.streets.textures import StreetPattern
from rdc_sweeps.synthetic.streets.traffic import FLAT, SKY

FOCAL = 2262.5 / 1024
"""Focal length of the cameras of Cityscapes, in image heights."""
_EYE = 1.22
"""Height of the cameras of Cityscapes, metres."""
_KERB = 0.13
_WORLD = (260.0, 130.0, 330.0)
_VISIBLE = 2.5
"""Distance in metres at which the ground starts; rectangles that reach behind the camera are slow to draw."""
_NEAREST, _FARTHEST = 7.0, 55.0
"""Range of the things along the street, metres ahead of the camera."""


@dataclass(frozen=True)
class Street:
    """Everything that the image of a street depends on.

    Attributes:
        quads: Every surface; the first six are the ground and the sky.
        camera: The camera.
        blockers: The nearest boxes, which cast shadows.
    """

    quads: Quads
    camera: Camera
    blockers: list[Box]


class _Works:
    """A street while it is being built."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.road = dice.between(3.2, 6.5)
        self.parking = tuple(2.2 if dice.chance(0.6) else 0.0 for _ in range(2))
        self.walk = dice.between(2.0, 4.5)
        self.lawn = tuple(dice.between(2.0, 7.0) if dice.chance(0.35) else 0.0 for _ in range(2))
        self.end = dice.between(70.0, 190.0)
        self.asphalt, self.pavement = materials.asphalt(dice), materials.pavement(dice)
        self.boxes: list[Box] = []
        self.blockers: list[Box] = []

    def kerb(self, side: int) -> float:
        """Distance of the kerb from the centre of the road; `side` is 0 left, 1 right."""
        return self.road + self.parking[side]

    def front(self, side: int) -> float:
        """Distance of the houses from the centre of the road."""
        return self.kerb(side) + self.walk + self.lawn[side]

    def put(self, boxes: list[Box], x: float, z: float, turn: float = 0.0, low: float = 0.0, shadow: int = 0) -> None:
        """Place boxes at (x, low, z); its first `shadow` boxes cast shadows."""
        there = moved(boxes, x, z, turn, low)
        self.boxes += there
        self.blockers += there[:shadow]


def street(dice: Dice) -> Street:
    """Build a street of houses, with traffic, trees and people."""
    works = _Works(dice)
    _ground(works)
    for side in (0, 1):
        _houses(works, side)
        _parked(works, side)
        _planted(works, side)
        _posts(works, side)
        _people(works, side)
    _moving(works)
    _end(works)
    half = (_WORLD[0] / 2, 0.0, 10.0)
    sky = Material(StreetPattern.SKY, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    ground = materials.grass(dice) if dice.chance(0.5) else works.pavement._replace(pattern=Pattern.PLAIN)
    label = traffic.NATURE if ground.pattern is StreetPattern.GRASS else FLAT
    shell = inner_quads(_WORLD, (SKY, SKY, SKY, label, SKY, SKY), (sky, sky, sky, ground, sky, sky))
    shell = replace(shell, origin=shell.origin - np.array(half))
    eye = np.array([works.road * dice.between(0.3, 0.6), _EYE * dice.between(0.95, 1.1), 0.0])
    heading = dice.between(-0.12, 0.12)
    target = eye + np.array([math.sin(heading), dice.between(-0.045, 0.02), math.cos(heading)])
    nearest = sorted(works.blockers, key=lambda box: box.centre[2] - box.half[2])[:18]
    return Street(
        joined(shell, quads_of(works.boxes)), looking(eye, target, dice.between(-0.015, 0.015), FOCAL), nearest
    )


def _ground(works: _Works) -> None:
    length = works.end + 10.0
    lay = works.boxes.append
    parked = works.asphalt._replace(period=0.0)
    lay(block(FLAT, works.asphalt, (-works.road, works.road), (-0.5, 0.02), (_VISIBLE, length)))
    for side, sign in ((0, -1), (1, 1)):
        near, far = works.kerb(side), works.kerb(side) + works.walk
        if works.parking[side]:
            edges = sorted((sign * works.road, sign * near))
            lay(block(FLAT, parked, (edges[0], edges[1]), (-0.5, 0.01), (_VISIBLE, length)))
        edges = sorted((sign * near, sign * far))
        lay(block(FLAT, works.pavement, (edges[0], edges[1]), (-0.5, _KERB), (_VISIBLE, length)))
        if works.lawn[side]:
            edges = sorted((sign * far, sign * (far + works.lawn[side])))
            lawn = materials.grass(works.dice)
            lay(block(traffic.NATURE, lawn, (edges[0], edges[1]), (-0.5, _KERB + 0.03), (_VISIBLE, length)))


def _houses(works: _Works, side: int) -> None:
    """Add a row of houses with gaps, or a stretch without houses."""
    dice, sign = works.dice, 2 * side - 1
    leaves = materials.foliage(dice)
    storeys = dice.whole(1, 5)
    built = dice.between(0.55, 1.0)
    z = dice.between(0.0, 14.0)
    while z < works.end:
        width = dice.between(9.0, 24.0)
        if dice.chance(built):
            depth = dice.between(9.0, 13.0)
            x = sign * (works.front(side) + depth / 2 + dice.choice((0.0, 0.0, 0.4)))
            house = roadside.house(dice, width, depth, max(1, storeys + dice.whole(-1, 1)))
            works.put(house, x, z + width / 2, shadow=1 if z < _FARTHEST else 0)
        else:
            x = sign * works.front(side)
            kind = dice.unit()
            if kind < 0.4:
                works.put(roadside.wall(dice, width), x, z + width / 2, shadow=1)
            elif kind < 0.8:
                works.put(roadside.hedge(dice, leaves, width), x, z + width / 2, shadow=1)
            works.put(roadside.tree(dice, leaves, _lumps(z)), x + sign * dice.between(2.5, 6.0), z + width / 2)
        z += width + (dice.between(0.5, 4.0) if dice.chance(0.25) else 0.0)


def _parked(works: _Works, side: int) -> None:
    dice, sign = works.dice, 2 * side - 1
    if not works.parking[side]:
        return
    density = dice.between(0.3, 1.0)
    z = dice.between(4.0, 10.0)
    while z < _FARTHEST:
        length, boxes = traffic.car(dice, oncoming=sign < 0)
        if length < 7 and dice.chance(density):
            turn = (0.0 if sign > 0 else math.pi) + dice.between(-0.03, 0.03)
            _drive(works, length, boxes, sign * (works.road + 1.1), z + length / 2, turn)
        z += length + dice.between(0.6, 1.6)


def _moving(works: _Works) -> None:
    """Add cars ahead and oncoming cars."""
    dice = works.dice
    for lane, turn, first in ((0.5, 0.0, 9.0), (-0.5, math.pi, 6.0)):
        z = first + dice.between(0.0, 45.0)
        for _ in range(dice.whole(0, 2)):
            length, boxes = traffic.car(dice, oncoming=lane < 0)
            if z + length / 2 < _FARTHEST:
                _drive(works, length, boxes, lane * works.road, z + length / 2, turn + dice.between(-0.04, 0.04))
            z += length + dice.between(4.0, 25.0)


def _drive(works: _Works, length: float, boxes: list[Box], x: float, z: float, turn: float) -> None:
    works.put([traffic.shade(length + 0.2, 1.85, works.asphalt)], x, z, turn, 0.02)
    works.put(boxes, x, z, turn, 0.02, shadow=2)


def _planted(works: _Works, side: int) -> None:
    """Add a row of trees along the kerb, and bushes on the lawn."""
    dice, sign = works.dice, 2 * side - 1
    leaves = materials.foliage(dice)
    if dice.chance(0.55):
        step, x = dice.between(7.0, 16.0), works.kerb(side) + 0.7
        z = dice.between(6.0, 18.0)
        while z < _FARTHEST:
            works.put(roadside.tree(dice, leaves, _lumps(z)), sign * x, z, shadow=2)
            z += step * dice.between(0.8, 1.5)
    if works.lawn[side]:
        for _ in range(dice.whole(1, 4)):
            x = works.front(side) - works.lawn[side] * dice.between(0.15, 0.7)
            z = dice.between(10.0, 50.0)
            plant = roadside.bush(dice, leaves) if dice.chance(0.6) else roadside.tree(dice, leaves, _lumps(z))
            works.put(plant, sign * x, z, low=_KERB, shadow=1)


def _lumps(z: float) -> int:
    """Number of boxes in the crown of a tree at this distance."""
    return 4 if z < 22 else 2


def _posts(works: _Works, side: int) -> None:
    """Add street lamps, signs, traffic lights, bollards and bins."""
    dice, sign = works.dice, 2 * side - 1
    x = sign * (works.kerb(side) + 0.35)
    if dice.chance(0.75):
        step, z = dice.between(16.0, 28.0), dice.between(7.0, 20.0)
        while z < _FARTHEST:
            works.put(roadside.street_lamp(dice, -sign), x, z)
            z += step
    for _ in range(dice.whole(0, 2)):
        works.put(roadside.traffic_sign(dice), x, dice.between(_NEAREST, 45.0), dice.between(-0.3, 0.3), _KERB)
    if dice.chance(0.35):
        works.put(roadside.traffic_light(dice), x, dice.between(9.0, 35.0), 0.0, _KERB)
    if dice.chance(0.25):
        z = dice.between(8.0, 18.0)
        for number in range(dice.whole(3, 6)):
            works.put(roadside.bollard(dice), x, z + 1.6 * number, 0.0, _KERB)
    if dice.chance(0.5):
        works.put(roadside.litter_bin(dice), x + sign * works.walk * 0.6, dice.between(8.0, 35.0), 0.0, _KERB, shadow=1)


def _people(works: _Works, side: int) -> None:
    """Add people on the pavement, and sometimes one crossing the road."""
    dice, sign = works.dice, 2 * side - 1
    for _ in range(dice.whole(0, 5)):
        x = sign * (works.kerb(side) + works.walk * dice.between(0.25, 0.85))
        turn = dice.choice((0.0, math.pi)) + dice.between(-0.6, 0.6)
        works.put(traffic.person(dice), x, dice.between(_NEAREST, 30.0), turn, _KERB, shadow=1)
    if dice.chance(0.12):
        x = dice.between(-works.road, works.road)
        turn = dice.choice((-1, 1)) * math.pi / 2 + dice.between(-0.3, 0.3)
        works.put(traffic.person(dice), x, dice.between(10.0, 30.0), turn, 0.02, shadow=1)


def _end(works: _Works) -> None:
    """Add houses, trees or nothing at the end of the street."""
    dice = works.dice
    kind = dice.unit()
    if kind < 0.45:
        x = -45.0
        while x < 45.0:
            width = dice.between(12.0, 26.0)
            house = roadside.house(dice, 12.0, width, dice.whole(1, 5))
            works.put(house, x + width / 2, works.end + 18.0)
            x += width
    elif kind < 0.85:
        leaves = materials.foliage(dice)
        for number in range(-5, 6):
            turn, half = dice.between(0, 1.5), dice.between(3.0, 6.5)
            centre = (8.0 * number + dice.between(-3, 3), 0.8 * half, works.end + 14.0 + dice.between(0, 8))
            works.boxes.append(Box(traffic.NATURE, leaves, centre, (half, half, half), turn, dice.between(0.2, 0.6)))
