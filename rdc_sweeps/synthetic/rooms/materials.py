"""Materials of the things in a room."""

from rdc_sweeps.synthetic.engine.boxes import Colour, Material, Pattern
from rdc_sweeps.synthetic.engine.dice import Dice

Interval = tuple[float, float]
_ANY: Interval = (0.0, 1.0)


def _darker(colour: Colour, factor: float) -> Colour:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def plain(dice: Dice, saturation: Interval = (0.0, 0.3), value: Interval = (0.1, 0.8)) -> Material:
    """Paint, plastic or metal of any hue."""
    colour = dice.colour(_ANY, saturation, value)
    return Material(Pattern.PLAIN, colour, colour)


def wood(dice: Dice) -> Material:
    """Light to dark wood, sometimes painted white."""
    if dice.chance(0.2):
        return plain(dice, (0.0, 0.1), (0.6, 0.85))
    colour = dice.colour((0.04, 0.1), (0.45, 0.75), (0.12, 0.55))
    return Material(Pattern.WOOD, colour, _darker(colour, dice.between(0.6, 0.9)), dice.between(0.05, 0.15))


def fabric(dice: Dice) -> Material:
    """Upholstery and bedding: plain, striped or checked."""
    colour = dice.colour(_ANY, (0.1, 0.65), (0.1, 0.7))
    pattern = dice.choice((Pattern.PILE, Pattern.PILE, Pattern.PLAID, Pattern.STRIPES))
    darker, other = _darker(colour, dice.between(0.5, 0.85)), dice.colour(_ANY, (0, 0.5), (0.2, 0.8))
    second = darker if pattern is Pattern.PILE else other
    return Material(pattern, colour, second, dice.between(0.08, 0.3))


def linen(dice: Dice) -> Material:
    """Sheets and pillows: pale."""
    colour = dice.colour(_ANY, (0.0, 0.2), (0.65, 0.9))
    return Material(Pattern.PLAIN, colour, colour)


def walls(dice: Dice) -> Material:
    """Paint, or wallpaper with faint stripes."""
    colour = dice.colour((0.05, 0.6), (0.02, 0.25), (0.5, 0.85))
    if dice.chance(0.2):
        return Material(Pattern.STRIPES, colour, _darker(colour, dice.between(0.85, 0.95)), dice.between(0.1, 0.3))
    return Material(Pattern.PLAIN, colour, colour)


def ceiling(dice: Dice) -> Material:
    """White, or acoustic tiles."""
    colour = dice.colour((0.08, 0.15), (0.0, 0.08), (0.75, 0.92))
    pattern = Pattern.TILES if dice.chance(0.25) else Pattern.PLAIN
    return Material(pattern, colour, _darker(colour, 0.6), 0.6)


def floor(dice: Dice) -> Material:
    """Planks, tiles or carpet."""
    kind = dice.choice((Pattern.PLANKS, Pattern.PLANKS, Pattern.TILES, Pattern.PILE))
    if kind is Pattern.PLANKS:
        colour = dice.colour((0.05, 0.09), (0.45, 0.7), (0.2, 0.5))
        return Material(kind, colour, _darker(colour, dice.between(0.6, 0.85)), dice.between(0.08, 0.16))
    if kind is Pattern.TILES:
        colour = dice.colour((0.05, 0.15), (0.05, 0.3), (0.35, 0.7))
        return Material(kind, colour, _darker(colour, dice.between(0.4, 0.7)), dice.between(0.25, 0.5))
    colour = dice.colour((0.0, 0.65), (0.05, 0.35), (0.2, 0.5))
    return Material(kind, colour, _darker(colour, dice.between(0.5, 0.8)))


def rug(dice: Dice) -> Material:
    """A patterned rug."""
    pattern = dice.choice((Pattern.PLAID, Pattern.STRIPES, Pattern.PILE))
    colour, second = dice.colour(_ANY, (0.3, 0.7), (0.15, 0.5)), dice.colour(_ANY, (0.1, 0.5), (0.3, 0.7))
    return Material(pattern, colour, second, dice.between(0.15, 0.5))


def painting(dice: Dice) -> Material:
    """A picture in a frame."""
    first, second = dice.colour(_ANY, (0.2, 0.7), (0.3, 0.9)), dice.colour(_ANY, (0.3, 0.8), (0.1, 0.6))
    return Material(Pattern.PAINTING, first, second)


def spines(dice: Dice) -> Material:
    """A row of books."""
    return Material(Pattern.SPINES, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2), dice.between(0.025, 0.05))


def screen(dice: Dice) -> Material:
    """A television that is switched off."""
    glow = dice.between(0.05, 0.14)
    return Material(Pattern.SCREEN, (0.01, 0.01, 0.012), (glow, glow, 1.15 * glow))


def outdoors(dice: Dice) -> Material:
    """The view through a window with its bars."""
    return Material(Pattern.OUTDOORS, (0.8, 0.8, 0.78), dice.colour((0.2, 0.38), (0.3, 0.6), (0.15, 0.45)))


def curtain(dice: Dice) -> Material:
    """Folded cloth."""
    colour = dice.colour(_ANY, (0.05, 0.5), (0.3, 0.75))
    return Material(Pattern.STRIPES, colour, _darker(colour, 0.65), dice.between(0.08, 0.16))
