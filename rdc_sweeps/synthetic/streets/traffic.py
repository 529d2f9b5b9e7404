"""Cars, vans, buses and people, each built of boxes around x = z = 0 on y = 0; they face z."""

from rdc_sweeps.specs.dataset import CITYSCAPES_CLASSES
from rdc_sweeps.synthetic.engine.boxes import Box, Colour, Material, block
from rdc_sweeps.synthetic.engine.dice import Dice
from rdc_sweeps.synthetic.streets import materials
from rdc_sweeps.synthetic.streets.textures import StreetPattern

FLAT, CONSTRUCTION, OBJECT, NATURE, SKY, HUMAN, VEHICLE = range(len(CITYSCAPES_CLASSES))
_TYRE = materials.plain((0.015, 0.015, 0.017))


def car(dice: Dice, oncoming: bool) -> tuple[float, list[Box]]:
    """A car, van or bus: its length in metres and its boxes; only the visible end has details."""
    kind = dice.unit()
    if kind < 0.82:
        return _car(dice, oncoming)
    return _van(dice, oncoming) if kind < 0.95 else _bus(dice, oncoming)


def _car(dice: Dice, oncoming: bool) -> tuple[float, list[Box]]:
    colour = materials.paint(dice)
    half, length, belt, top = dice.between(0.84, 0.93), dice.between(3.7, 4.8), 0.88, dice.between(1.4, 1.68)
    end = length / 2
    estate = dice.chance(0.5)
    rear = -end + (0.12 if estate else dice.between(0.5, 0.9))
    front = end - dice.between(1.3, 1.6)
    cabin = materials.glass(colour, pillar=True)
    boxes = [
        block(VEHICLE, materials.plain(colour), (-half, half), (0.28, belt), (-end, end)),
        block(VEHICLE, cabin, (-half + 0.12, half - 0.12), (belt, top), (rear, front)),
        _end(colour, half, 0.24, belt, end, oncoming),
        *_wheels(half, end - 0.8, 0.33),
    ]
    # A slanted window, which the box of the cabin lacks.
    pane = materials.glass(colour, pillar=False)
    rise = (top - belt) / 2
    slanted = (half - 0.14, rise * 1.28, 0.02)
    if oncoming:
        boxes.append(Box(VEHICLE, pane, (0.0, belt + rise - 0.02, front + 0.3), slanted, 0.0, -0.68))
    elif not estate:
        boxes.append(Box(VEHICLE, pane, (0.0, belt + rise - 0.02, rear - 0.22), slanted, 0.0, 0.6))
    return length, boxes


def _van(dice: Dice, oncoming: bool) -> tuple[float, list[Box]]:
    colour = materials.paint(dice)
    half, end, top = dice.between(0.95, 1.05), dice.between(2.4, 3.1), dice.between(2.0, 2.6)
    return 2 * end, [
        block(VEHICLE, materials.plain(colour), (-half, half), (0.35, 1.15), (-end, end)),
        block(VEHICLE, materials.plain(colour), (-half, half), (1.15, top), (-end, end - 1.7)),
        block(VEHICLE, materials.glass(colour, pillar=False), (-half + 0.03, half - 0.03), (1.1, top), (0, end - 0.7)),
        _end(colour, half, 0.35, 1.15, end, oncoming),
        *_wheels(half, end - 0.9, 0.36),
    ]


def _bus(dice: Dice, oncoming: bool) -> tuple[float, list[Box]]:
    colour = dice.colour((0.0, 1.0), (0.2, 0.85), (0.3, 0.7))
    end, top = dice.between(4.5, 6.0), dice.between(2.9, 3.3)
    return 2 * end, [
        block(VEHICLE, materials.plain(colour), (-1.25, 1.25), (0.35, 1.2), (-end, end)),
        block(VEHICLE, materials.glass(colour, pillar=True), (-1.23, 1.23), (1.2, top), (-end + 0.02, end - 0.02)),
        _end(colour, 1.25, 0.35, 1.2, end, oncoming),
        *_wheels(1.25, end - 1.6, 0.48),
    ]


def _end(colour: Colour, half: float, low: float, high: float, end: float, oncoming: bool) -> Box:
    """The front if the car is oncoming, else its rear."""
    panel = Material(StreetPattern.PANEL, colour, materials.HEADLAMPS if oncoming else materials.TAIL_LAMPS)
    place = (end, end + 0.03) if oncoming else (-end - 0.03, -end)
    return block(VEHICLE, panel, (-half, half), (low, high), place)


def _wheels(half: float, axle: float, radius: float) -> list[Box]:
    """Axles with a wheel at each end; only their ends are visible."""
    return [
        block(VEHICLE, _TYRE, (-half - 0.01, half + 0.01), (0.0, 2 * radius - 0.04), (z - radius, z + radius))
        for z in (-axle, axle)
    ]


def shade(length: float, wide: float, ground: Material) -> Box:
    """The dark ground under a vehicle or person."""
    dark = Material(ground.pattern, _dimmed(ground.colour), ground.second, 0.0)
    return block(FLAT, dark, (-wide / 2, wide / 2), (0.0, 0.012), (-length / 2, length / 2))


def _dimmed(colour: Colour) -> Colour:
    return (colour[0] * 0.3, colour[1] * 0.3, colour[2] * 0.3)


def person(dice: Dice) -> list[Box]:
    """A walking or standing person."""
    tall = dice.between(1.5, 1.9)
    hip, neck, wide = 0.48 * tall, 0.83 * tall, dice.between(0.17, 0.23)
    stride = dice.between(0.0, 0.22)
    trousers, coat = materials.cloth(dice), materials.cloth(dice)
    hair = materials.plain(dice.colour((0.03, 0.1), (0.2, 0.7), (0.02, 0.3)))
    boxes = [
        Box(HUMAN, trousers, (-0.09, hip / 2, stride / 2), (0.075, hip / 2, 0.085), 0.0, stride / hip),
        Box(HUMAN, trousers, (0.09, hip / 2, -stride / 2), (0.075, hip / 2, 0.085), 0.0, -stride / hip),
        block(HUMAN, coat, (-wide, wide), (hip - 0.12, neck), (-0.13, 0.13)),
        block(HUMAN, materials.skin(dice), (-0.085, 0.085), (neck, 0.95 * tall), (-0.08, 0.1)),
        block(HUMAN, hair, (-0.095, 0.095), (0.92 * tall, tall), (-0.1, 0.1)),
        block(HUMAN, coat, (-wide - 0.07, wide + 0.07), (0.52 * tall, neck - 0.05), (-0.06, 0.06)),
    ]
    if dice.chance(0.3):
        boxes.append(block(HUMAN, materials.cloth(dice), (-0.15, 0.15), (0.58 * tall, 0.8 * tall), (-0.27, -0.13)))
    return boxes
