"""Pieces of furniture, built of boxes.

A piece stands on y = 0 with its back at z = 0 and reaches to z = depth; x = 0 is its centre.
"""

from typing import NamedTuple

from rdc_sweeps.specs.dataset import NYU_CLASSES
from rdc_sweeps.synthetic.engine.boxes import Box, Material, Pattern, block
from rdc_sweeps.synthetic.engine.dice import Dice
from rdc_sweeps.synthetic.rooms import materials

BED, BOOKS, CEILING, CHAIR, FLOOR, FURNITURE, OBJECTS, PICTURE, SOFA, TABLE, TV, WALL, WINDOW = range(len(NYU_CLASSES))


class Piece(NamedTuple):
    """Boxes, and the space that they take up (metres)."""

    width: float
    depth: float
    height: float
    boxes: list[Box]


def _legs(label: int, material: Material, half: float, depth: float, top: float, thick: float) -> list[Box]:
    return [
        block(label, material, (x, x + thick), (0, top), (z, z + thick))
        for x in (-half, half - thick)
        for z in (0.0, depth - thick)
    ]


def bed(dice: Dice) -> Piece:
    """A bed with a headboard, blanket and pillows."""
    width, depth = dice.choice((0.95, 1.4, 1.6)), dice.between(1.95, 2.1)
    half, top = width / 2, dice.between(0.45, 0.6)
    frame, sheet, blanket = materials.wood(dice), materials.linen(dice), materials.fabric(dice)
    head = top + dice.between(0.25, 0.6)
    fold = dice.between(0.5, 0.8)
    boxes = [
        block(BED, frame, (-half - 0.03, half + 0.03), (0, head), (0, 0.06)),
        block(BED, frame, (-half, half), (0.08, top - 0.22), (0.06, depth)),
        block(BED, sheet, (-half, half), (top - 0.22, top), (0.06, depth - 0.02)),
        block(BED, blanket, (-half - 0.03, half + 0.03), (top - 0.3, top + 0.04), (fold, depth + 0.02)),
    ]
    pillow = materials.linen(dice) if dice.chance(0.6) else materials.fabric(dice)
    for x in (0.0,) if width < 1.2 else (-width / 4, width / 4):
        centre = (x + dice.between(-0.03, 0.03), top + 0.12, 0.27)
        boxes.append(Box(OBJECTS, pillow, centre, (min(0.33, width / 4.4), 0.17, 0.06), dice.between(-0.1, 0.1), -0.7))
    return Piece(width + 0.06, depth + 0.02, head, boxes)


def armchair(dice: Dice) -> Piece:
    """An armchair."""
    return sofa(dice, 1)


def sofa(dice: Dice, seats: int) -> Piece:
    """A sofa with cushions."""
    width, depth, seat = 0.66 * seats + 0.4, dice.between(0.85, 1.0), dice.between(0.4, 0.46)
    half, back = width / 2, dice.between(0.75, 0.95)
    cloth, arm = materials.fabric(dice), dice.between(0.14, 0.2)
    boxes = [
        block(SOFA, cloth, (-half, half), (0.06, seat - 0.14), (0, depth)),
        block(SOFA, cloth, (-half, half), (0.06, back), (0, 0.22)),
        block(SOFA, cloth, (-half, -half + arm), (0.06, seat + 0.18), (0, depth)),
        block(SOFA, cloth, (half - arm, half), (0.06, seat + 0.18), (0, depth)),
    ]
    step = (width - 2 * arm) / seats
    for number in range(seats):
        left = -half + arm + number * step
        boxes.append(block(SOFA, cloth, (left + 0.01, left + step - 0.01), (seat - 0.13, seat), (0.22, depth + 0.02)))
    if dice.chance(0.7):
        x = dice.choice((-1, 1)) * (half - arm - 0.22)
        boxes.append(Box(OBJECTS, materials.fabric(dice), (x, seat + 0.2, 0.34), (0.2, 0.2, 0.06), 0.0, -0.3))
    return Piece(width, depth, back, boxes)


def chair(dice: Dice) -> Piece:
    """A chair with legs or a central column."""
    half, depth, seat = dice.between(0.2, 0.25), dice.between(0.42, 0.5), dice.between(0.43, 0.48)
    frame = materials.wood(dice) if dice.chance(0.6) else materials.plain(dice, (0.0, 0.3), (0.03, 0.3))
    cover = frame if dice.chance(0.4) else materials.fabric(dice)
    top = seat + dice.between(0.35, 0.55)
    boxes = [
        block(CHAIR, cover, (-half, half), (seat - 0.05, seat), (0, depth)),
        block(CHAIR, cover, (-half, half), (seat + 0.12 * dice.unit(), top), (0, 0.04)),
    ]
    if dice.chance(0.65):
        boxes += _legs(CHAIR, frame, half, depth, seat - 0.05, 0.04)
    else:
        boxes.append(block(CHAIR, frame, (-0.03, 0.03), (0.05, seat - 0.05), (depth / 2 - 0.03, depth / 2 + 0.03)))
        for turn in (0.4, 0.4 + 1.5708):
            boxes.append(Box(CHAIR, frame, (0, 0.04, depth / 2), (half, 0.02, 0.03), turn))
    boxes.append(block(CHAIR, frame, (-half, -half + 0.03), (seat, top), (0, 0.03)))
    boxes.append(block(CHAIR, frame, (half - 0.03, half), (seat, top), (0, 0.03)))
    return Piece(2 * half, depth, top, boxes)


def table(dice: Dice, width: float, depth: float, height: float) -> Piece:
    """A table with things on it."""
    top, half = materials.wood(dice), width / 2
    legs = top if dice.chance(0.7) else materials.plain(dice, (0.0, 0.2), (0.05, 0.6))
    boxes = [block(TABLE, top, (-half, half), (height - 0.04, height), (0, depth))]
    boxes += _legs(TABLE, legs, half - 0.03, depth - 0.03, height - 0.04, dice.between(0.04, 0.08))
    for _ in range(dice.whole(1, 4)):
        x, z = dice.between(-half + 0.2, half - 0.2), dice.between(0.18, depth - 0.18)
        boxes += dice.choice((thing, thing, pile_of_books))(dice, x, height, z)
    return Piece(width, depth, height, boxes)


def desk(dice: Dice) -> Piece:
    """A desk with a monitor and books."""
    piece = table(dice, dice.between(1.1, 1.6), dice.between(0.6, 0.75), dice.between(0.7, 0.76))
    boxes = [box for box in piece.boxes if box.label == TABLE]
    side = dice.choice((-1, 1)) * dice.between(0.1, 0.2)
    boxes += television(dice, side, piece.height, 0.2, dice.between(0.5, 0.62))
    boxes += pile_of_books(dice, -side * 2.4, piece.height, 0.35)
    if dice.chance(0.5):
        boxes += lamp(dice, -side * 2.2, piece.height, 0.15, 0.45)
    return Piece(piece.width, piece.depth, piece.height, boxes)


def cabinet(dice: Dice, width: float, depth: float, height: float) -> Piece:
    """A cabinet, chest or wardrobe with fronts and handles."""
    body, half = materials.wood(dice), width / 2
    front = body if dice.chance(0.6) else materials.wood(dice)
    knob = materials.plain(dice, (0.0, 0.4), (0.05, 0.7))
    boxes = [block(FURNITURE, body, (-half, half), (0, height), (0, depth))]
    columns, rows = max(1, round(width / 0.6)), 1 if height > 1.4 else max(1, round(height / 0.28))
    step, rise = width / columns, (height - 0.1) / rows
    for column in range(columns):
        for row in range(rows):
            left, low = -half + column * step, 0.08 + row * rise
            x, y = (left + 0.015, left + step - 0.015), (low, low + rise - 0.02)
            boxes.append(block(FURNITURE, front, x, y, (depth, depth + 0.02)))
            at, high = left + step * (0.5 if rows > 1 else 0.85), low + rise / 2
            grip = (at - 0.06, at + 0.06) if rows > 1 else (at - 0.012, at + 0.012)
            tall = (high - 0.012, high + 0.012) if rows > 1 else (high - 0.08, high + 0.08)
            boxes.append(block(FURNITURE, knob, grip, tall, (depth + 0.02, depth + 0.045)))
    return Piece(width, depth + 0.045, height, boxes)


def sideboard(dice: Dice) -> Piece:
    """A low cabinet with things, lamps or books on top."""
    piece = cabinet(dice, dice.between(0.8, 1.6), dice.between(0.4, 0.5), dice.between(0.55, 0.95))
    boxes, half = list(piece.boxes), piece.width / 2
    for x in (-half + 0.2, 0.0, half - 0.2):
        if dice.chance(0.75):
            make = dice.choice((thing, thing, pile_of_books))
            boxes += make(dice, x, piece.height, 0.22)
    return Piece(piece.width, piece.depth, piece.height, boxes)


def tv_stand(dice: Dice) -> Piece:
    """A low cabinet with a television on top."""
    piece = cabinet(dice, dice.between(1.1, 1.6), 0.42, dice.between(0.4, 0.6))
    set_on_top = television(dice, 0.0, piece.height, 0.2, dice.between(0.8, 1.2))
    return Piece(piece.width, piece.depth, piece.height + 0.7, piece.boxes + set_on_top)


def nightstand(dice: Dice) -> Piece:
    """A small cabinet with a lamp."""
    piece = cabinet(dice, dice.between(0.4, 0.5), 0.38, dice.between(0.45, 0.6))
    boxes = piece.boxes + lamp(dice, 0.0, piece.height, 0.2, dice.between(0.4, 0.55))
    return Piece(piece.width, piece.depth, piece.height, boxes)


def bookcase(dice: Dice) -> Piece:
    """Shelves with books and a few things."""
    width, depth, height = dice.between(0.8, 1.5), dice.between(0.26, 0.34), dice.between(1.3, 2.1)
    half, body, shelves = width / 2, materials.wood(dice), dice.whole(4, 5)
    rise = (height - 0.06) / shelves
    boxes = [
        block(FURNITURE, body, (-half, half), (0, height), (0, 0.02)),
        block(FURNITURE, body, (-half, -half + 0.03), (0, height), (0.02, depth)),
        block(FURNITURE, body, (half - 0.03, half), (0, height), (0.02, depth)),
    ]
    for shelf in range(shelves + 1):
        low = 0.04 + shelf * rise
        boxes.append(block(FURNITURE, body, (-half + 0.03, half - 0.03), (low - 0.03, low), (0.02, depth)))
        if shelf == shelves or dice.chance(0.1):
            continue
        start, end = -half + 0.04, half - 0.04
        if dice.chance(0.35):
            boxes += thing(dice, end - 0.15, low, depth / 2, 0.55 * rise)
            end -= 0.35
        tall = rise * dice.between(0.65, 0.85)
        boxes.append(block(BOOKS, materials.spines(dice), (start, end), (low, low + tall), (0.04, depth - 0.05)))
    return Piece(width, depth, height, boxes)


def television(dice: Dice, x: float, y: float, z: float, width: float) -> list[Box]:
    """A flat screen on a stand."""
    tall, foot = 0.58 * width, materials.plain(dice, (0.0, 0.1), (0.02, 0.06))
    return [
        block(TV, foot, (x - 0.15, x + 0.15), (y, y + 0.02), (z - 0.1, z + 0.1)),
        block(TV, foot, (x - 0.03, x + 0.03), (y, y + 0.1), (z - 0.03, z)),
        block(TV, materials.screen(dice), (x - width / 2, x + width / 2), (y + 0.06, y + 0.06 + tall), (z, z + 0.04)),
    ]


def lamp(dice: Dice, x: float, y: float, z: float, height: float) -> list[Box]:
    """A lamp with a shade, on a table or on the floor."""
    metal = materials.plain(dice, (0.0, 0.3), (0.1, 0.5))
    shade = materials.linen(dice)
    wide, middle = dice.between(0.1, 0.16), (x, y + 0.8 * height, z)
    boxes = [
        block(OBJECTS, metal, (x - 0.08, x + 0.08), (y, y + 0.02), (z - 0.08, z + 0.08)),
        block(OBJECTS, metal, (x - 0.013, x + 0.013), (y, y + 0.7 * height), (z - 0.013, z + 0.013)),
    ]
    # Two boxes turned by 45 degrees look like a round shade.
    return boxes + [Box(OBJECTS, shade, middle, (wide, 0.2 * height, wide), turn) for turn in (0.0, 0.7854)]


def pile_of_books(dice: Dice, x: float, y: float, z: float) -> list[Box]:
    """A small stack of books."""
    boxes = []
    for _ in range(dice.whole(2, 5)):
        thick = dice.between(0.02, 0.05)
        half = (dice.between(0.1, 0.15), thick / 2, dice.between(0.08, 0.11))
        cover = materials.plain(dice, (0.3, 0.8), (0.1, 0.6))
        boxes.append(Box(BOOKS, cover, (x, y + thick / 2, z), half, dice.between(-0.4, 0.4)))
        y += thick
    return boxes


def thing(dice: Dice, x: float, y: float, z: float, tallest: float = 0.35) -> list[Box]:
    """A box, a bottle or a plant."""
    material = materials.plain(dice, (0.1, 0.8), (0.1, 0.85))
    tall, turn = tallest * dice.between(0.45, 1.0), dice.between(-0.8, 0.8)
    kind = dice.whole(0, 2)
    if kind == 0:
        half = (dice.between(0.06, 0.13), 0.3 * tall, dice.between(0.05, 0.1))
        return [Box(OBJECTS, material, (x, y + 0.3 * tall, z), half, turn)]
    wide = dice.between(0.04, 0.06)
    if kind == 1:
        return [
            Box(OBJECTS, material, (x, y + 0.3 * tall, z), (wide, 0.3 * tall, wide), turn),
            Box(OBJECTS, material, (x, y + 0.8 * tall, z), (0.35 * wide, 0.2 * tall, 0.35 * wide), turn),
        ]
    boxes = [Box(OBJECTS, material, (x, y + 0.2 * tall, z), (wide, 0.2 * tall, wide), turn)]
    leaf = Material(Pattern.PILE, (0.05, 0.22, 0.04), (0.02, 0.1, 0.02))
    for number in range(4):
        angle = turn + 1.5708 * number
        lean = dice.between(0.3, 0.6)
        boxes.append(Box(OBJECTS, leaf, (x, y + 0.7 * tall, z), (0.04, 0.32 * tall, 0.012), angle, lean))
    return boxes


def carton(dice: Dice) -> Piece:
    """A box, bin or bag on the floor."""
    width, depth, height = dice.between(0.25, 0.5), dice.between(0.25, 0.4), dice.between(0.2, 0.5)
    material = materials.plain(dice, (0.1, 0.7), (0.1, 0.6))
    return Piece(width, depth, height, [block(OBJECTS, material, (-width / 2, width / 2), (0, height), (0, depth))])


def floor_lamp(dice: Dice) -> Piece:
    """A floor lamp."""
    height = dice.between(1.4, 1.7)
    return Piece(0.36, 0.36, height, lamp(dice, 0.0, 0.0, 0.18, height))
