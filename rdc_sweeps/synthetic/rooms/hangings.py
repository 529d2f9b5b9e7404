"""Things that hang on walls, built of boxes: the back is at z = 0, the lower edge at y = 0."""

from rdc_sweeps.synthetic.engine.boxes import Material, Pattern, block
from rdc_sweeps.synthetic.engine.dice import Dice
from rdc_sweeps.synthetic.rooms import materials
from rdc_sweeps.synthetic.rooms.furniture import (
    BOOKS,
    FURNITURE,
    OBJECTS,
    PICTURE,
    TV,
    WALL,
    WINDOW,
    Piece,
    thing,
)


def flat_screen(dice: Dice) -> Piece:
    """A television on the wall."""
    width = dice.between(0.9, 1.3)
    screen = block(TV, materials.screen(dice), (-width / 2, width / 2), (0, 0.58 * width), (0.02, 0.07))
    return Piece(width, 0.07, 0.58 * width, [screen])


def window(dice: Dice) -> Piece:
    """A window in its frame, often with curtains."""
    width, height = dice.between(0.8, 1.8), dice.between(0.9, 1.3)
    half, frame = width / 2, materials.plain(dice, (0.0, 0.1), (0.6, 0.85))
    boxes = [
        block(WINDOW, materials.outdoors(dice), (-half, half), (0, height), (0.0, 0.01)),
        block(WINDOW, frame, (-half - 0.05, half + 0.05), (-0.05, 0), (0, 0.09)),
        block(WINDOW, frame, (-half - 0.05, half + 0.05), (height, height + 0.05), (0, 0.03)),
        block(WINDOW, frame, (-half - 0.05, -half), (0, height), (0, 0.03)),
        block(WINDOW, frame, (half, half + 0.05), (0, height), (0, 0.03)),
    ]
    reach = 0.06
    if dice.chance(0.5):
        cloth, reach = materials.curtain(dice), 0.3
        for side in (-1, 1):
            inner, outer = side * (half - 0.12), side * (half + 0.25)
            x = (min(inner, outer), max(inner, outer))
            boxes.append(block(WINDOW, cloth, x, (-0.3, height + 0.1), (0.09, 0.13)))
    return Piece(width + 2 * reach, 0.13, height + 0.1, boxes)


def picture(dice: Dice) -> Piece:
    """A painting in a frame."""
    width, height = dice.between(0.3, 0.9), dice.between(0.3, 0.7)
    half, frame, canvas = width / 2, materials.wood(dice), materials.painting(dice)
    return Piece(
        width,
        0.04,
        height,
        [
            block(PICTURE, frame, (-half, half), (0, height), (0, 0.025)),
            block(
                PICTURE,
                canvas,
                (-half + 0.03, half - 0.03),
                (0.03, height - 0.03),
                (0.025, 0.03),
            ),
        ],
    )


def mirror(dice: Dice) -> Piece:
    """A mirror; reflections are not rendered."""
    width, height = dice.between(0.35, 0.7), dice.between(0.5, 1.0)
    half, frame, pale = width / 2, materials.wood(dice), dice.between(0.45, 0.7)
    glass = Material(Pattern.SCREEN, (0.3, 0.32, 0.34), (pale, 1.03 * pale, 1.08 * pale))
    return Piece(
        width,
        0.03,
        height,
        [
            block(OBJECTS, frame, (-half, half), (0, height), (0, 0.02)),
            block(OBJECTS, glass, (-half + 0.03, half - 0.03), (0.03, height - 0.03), (0.02, 0.025)),
        ],
    )


def shelf(dice: Dice) -> Piece:
    """A shelf board with books and other things."""
    width, depth = dice.between(0.7, 1.2), dice.between(0.2, 0.26)
    half, high = width / 2, dice.between(0.2, 0.28)
    split = dice.between(-0.2, 0.2) * width
    boxes = [
        block(FURNITURE, materials.wood(dice), (-half, half), (0, 0.03), (0, depth)),
        block(BOOKS, materials.spines(dice), (-half + 0.02, split), (0.03, 0.03 + high), (0.02, depth - 0.03)),
    ]
    boxes += thing(dice, split + 0.25 * (half - split), 0.03, depth / 2, 0.3)
    boxes += thing(dice, split + 0.7 * (half - split), 0.03, depth / 2, 0.3)
    return Piece(width, depth, 0.36, boxes)


def door(dice: Dice) -> Piece:
    """A door counts as wall."""
    leaf, frame = materials.wood(dice), materials.plain(dice, (0.0, 0.1), (0.5, 0.8))
    metal = Material(Pattern.PLAIN, (0.5, 0.45, 0.3), (0.5, 0.45, 0.3))
    return Piece(
        0.96,
        0.05,
        2.05,
        [
            block(WALL, frame, (-0.48, 0.48), (0, 2.05), (0, 0.025)),
            block(WALL, leaf, (-0.41, 0.41), (0, 1.98), (0.025, 0.035)),
            block(WALL, metal, (0.3, 0.38), (0.98, 1.01), (0.035, 0.08)),
        ],
    )
