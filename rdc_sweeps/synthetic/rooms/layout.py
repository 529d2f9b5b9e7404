"""Furnishes rooms: which pieces go together, and where the camera is."""

import math

import numpy as np

from rdc_sweeps.synthetic.engine.boxes import Box
from rdc_sweeps.synthetic.engine.dice import Dice
from rdc_sweeps.synthetic.engine.raster import looking
from rdc_sweeps.synthetic.rooms import furniture as pieces
from rdc_sweeps.synthetic.rooms import hangings, materials
from rdc_sweeps.synthetic.rooms.floorplan import TURN, FurnishedRoom, Room


def furnished(dice: Dice) -> FurnishedRoom:
    """Furnish a bedroom, living room, dining room or study."""
    extent = (dice.between(2.8, 4.8), dice.between(2.4, 2.9), dice.between(3.0, 5.4))
    width, _, depth = extent
    eye = np.array([width * dice.between(0.25, 0.75), dice.between(1.15, 1.75), dice.between(0.25, 0.6)])
    target = np.array([width * dice.between(0.2, 0.8), dice.between(0.15, 1.25), depth * dice.between(0.65, 1.0)])
    room = Room(dice, extent, looking(eye, target, dice.between(-0.05, 0.05)))
    dice.choice((_bedroom, _bedroom, _living_room, _living_room, _living_room, _dining_room, _dining_room, _study))(
        room
    )
    _decorate(room)
    return room.finished()


def _bedroom(room: Room) -> None:
    dice, piece = room.dice, pieces.bed(room.dice)
    spot = room.stand(piece)
    if spot is not None:
        wall, along = spot
        for side in (-1, 1):
            if dice.chance(0.75):
                room.stand(pieces.nightstand(dice), wall, along + side * (piece.width / 2 + 0.32))
    if dice.chance(0.5):
        _seated_desk(room)
    if dice.chance(0.6):
        room.stand(pieces.cabinet(dice, dice.between(1.0, 1.8), dice.between(0.5, 0.6), dice.between(1.8, 2.2)))
    if dice.chance(0.5):
        room.stand(pieces.tv_stand(dice) if dice.chance(0.4) else pieces.sideboard(dice))


def _living_room(room: Room) -> None:
    dice, piece = room.dice, pieces.sofa(room.dice, room.dice.whole(2, 3))
    spot = room.stand(piece)
    if spot is not None and dice.chance(0.75):
        wall, along = spot
        width, depth = dice.between(0.8, 1.2), dice.between(0.5, 0.6)
        x, z = room.front_of(wall, along, piece.depth + dice.between(0.3, 0.5) + depth / 2)
        room.place(pieces.table(dice, width, depth, dice.between(0.36, 0.48)), x, z, TURN[wall])
    room.stand(pieces.tv_stand(dice))
    if dice.chance(0.6):
        room.stand(pieces.bookcase(dice))
    if dice.chance(0.5):
        room.stand(pieces.armchair(dice))
    if dice.chance(0.5):
        room.stand(pieces.sideboard(dice))


def _dining_room(room: Room) -> None:
    dice = room.dice
    width, depth = dice.between(1.2, 1.8), dice.between(0.8, 1.0)
    turn = dice.choice((0.0, math.pi / 2)) + dice.between(-0.1, 0.1)
    x, z = room.width * dice.between(0.4, 0.6), room.depth * dice.between(0.5, 0.65)
    if room.place(pieces.table(dice, width, depth, dice.between(0.72, 0.78)), x, z, turn):
        for side in (0.0, math.pi):
            for offset in (-width / 4, width / 4):
                angle = turn + side
                reach = depth / 2 + dice.between(0.28, 0.4)
                at_x = x - math.sin(angle) * reach + math.cos(turn) * offset
                at_z = z - math.cos(angle) * reach - math.sin(turn) * offset
                room.place(pieces.chair(dice), at_x, at_z, angle + dice.between(-0.15, 0.15))
    for _ in range(dice.whole(1, 2)):
        room.stand(pieces.sideboard(dice))
    if dice.chance(0.5):
        room.stand(pieces.cabinet(dice, dice.between(0.8, 1.2), 0.5, dice.between(1.7, 2.1)))


def _study(room: Room) -> None:
    dice = room.dice
    _seated_desk(room)
    for _ in range(dice.whole(1, 2)):
        room.stand(pieces.bookcase(dice))
    if dice.chance(0.5):
        _seated_desk(room)
    if dice.chance(0.5):
        room.stand(pieces.sofa(dice, dice.whole(1, 3)))
    if dice.chance(0.5):
        room.stand(pieces.cabinet(dice, dice.between(0.5, 1.0), 0.45, dice.between(0.8, 1.4)))


def _seated_desk(room: Room) -> None:
    dice, piece = room.dice, pieces.desk(room.dice)
    spot = room.stand(piece)
    if spot is not None:
        wall, along = spot
        seat = pieces.chair(dice)
        gap = dice.between(0.02, 0.2)
        x, z = room.front_of(wall, along + dice.between(-0.2, 0.2), piece.depth + seat.depth / 2 + gap)
        room.place(seat, x, z, TURN[wall] + math.pi + dice.between(-0.5, 0.5))


def _decorate(room: Room) -> None:
    """Add another piece, windows, pictures, a door, a rug and clutter."""
    dice = room.dice
    for _ in range(dice.whole(1, 2)):
        room.stand(dice.choice((pieces.sideboard, pieces.bookcase, pieces.armchair, pieces.sideboard))(dice))
    for _ in range(dice.whole(0, 2)):
        wall = room.hang(hangings.window(dice), dice.between(0.85, 1.05))
        if wall is not None:
            room.let_in_daylight(wall)
    if dice.chance(0.4):
        room.hang(hangings.door(dice), 0.0)
    for _ in range(dice.whole(1, 3)):
        room.hang(hangings.picture(dice), dice.between(1.2, 1.6))
    if dice.chance(0.12):
        room.hang(hangings.flat_screen(dice), dice.between(1.0, 1.3))
    if dice.chance(0.35):
        room.hang(hangings.shelf(dice), dice.between(1.25, 1.55))
    if dice.chance(0.25):
        room.hang(hangings.mirror(dice), dice.between(0.9, 1.3))
    for _ in range(dice.whole(1, 3)):
        room.stand(pieces.carton(dice))
    if dice.chance(0.3):
        room.stand(pieces.floor_lamp(dice))
    if dice.chance(0.35):
        x, z = dice.between(0.5, room.width - 0.5), room.depth * dice.between(0.4, 0.9)
        room.place(pieces.chair(dice), x, z, dice.between(0, 2 * math.pi))
    if dice.chance(0.4):
        x, z = room.width * dice.between(0.35, 0.65), room.depth * dice.between(0.45, 0.65)
        half = (room.width * dice.between(0.15, 0.28), 0.006, room.depth * dice.between(0.12, 0.22))
        room.spread(Box(pieces.FLOOR, materials.rug(dice), (x, 0.006, z), half))
