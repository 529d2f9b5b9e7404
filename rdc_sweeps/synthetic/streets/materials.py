"""Materials of the things in a street."""

from rdc_sweeps.synthetic.engine.boxes import Colour, Material, Pattern
from rdc_sweeps.synthetic.engine.dice import Dice
from rdc_sweeps.synthetic.streets.textures import StreetPattern

_ANY = (0.0, 1.0)
TAIL_LAMPS: Colour = (0.45, 0.02, 0.02)
HEADLAMPS: Colour = (0.85, 0.85, 0.8)


def plain(colour: Colour) -> Material:
    """A single colour."""
    return Material(Pattern.PLAIN, colour, colour)


def facade(dice: Dice) -> Material:
    """Plaster, brick or stone with windows."""
    kind = dice.unit()
    if kind < 0.25:
        colour = dice.colour((0.0, 0.05), (0.35, 0.6), (0.15, 0.4))
    elif kind < 0.5:
        colour = dice.colour(_ANY, (0.0, 0.06), (0.2, 0.6))
    else:
        colour = dice.colour((0.05, 0.16), (0.08, 0.4), (0.35, 0.75))
    shade = dice.between(0.06, 0.2)
    glass = (shade, 1.05 * shade, 1.2 * shade)
    return Material(StreetPattern.FACADE, colour, glass, dice.between(1.7, 3.4))


def asphalt(dice: Dice) -> Material:
    """A road's surface, usually with lines."""
    grey = dice.between(0.12, 0.26)
    dashes = dice.choice((0.0, 4.0, 6.0, 9.0))
    return Material(StreetPattern.ASPHALT, (grey, grey, 1.04 * grey), (0.6, 0.6, 0.58), dashes)


def pavement(dice: Dice) -> Material:
    """Slabs of concrete or stone."""
    colour = dice.colour((0.05, 0.1), (0.0, 0.14), (0.22, 0.42))
    joint = 0.75
    return Material(
        Pattern.TILES, colour, (colour[0] * joint, colour[1] * joint, colour[2] * joint), dice.between(0.6, 1.2)
    )


def grass(dice: Dice) -> Material:
    """A lawn, fresh or dry."""
    return Material(
        StreetPattern.GRASS,
        dice.colour((0.2, 0.3), (0.45, 0.65), (0.18, 0.3)),
        dice.colour((0.14, 0.24), (0.35, 0.6), (0.22, 0.4)),
    )


def foliage(dice: Dice) -> Material:
    """Leaves, green to autumnal."""
    hue = (0.2, 0.34) if dice.chance(0.85) else (0.08, 0.16)
    return Material(
        StreetPattern.FOLIAGE, dice.colour(hue, (0.4, 0.7), (0.06, 0.14)), dice.colour(hue, (0.4, 0.65), (0.16, 0.32))
    )


def bark(dice: Dice) -> Material:
    """A trunk."""
    return plain(dice.colour((0.05, 0.1), (0.2, 0.5), (0.08, 0.2)))


def paint(dice: Dice) -> Colour:
    """A car's colour: mostly white, silver, grey or black."""
    if dice.chance(0.65):
        return dice.colour((0.55, 0.65), (0.0, 0.1), dice.choice(((0.02, 0.08), (0.2, 0.45), (0.6, 0.85))))
    return dice.colour(dice.choice(((0.97, 1.03), (0.57, 0.66), (0.3, 0.4), (0.08, 0.13))), (0.6, 0.9), (0.12, 0.5))


def glass(body: Colour, pillar: bool) -> Material:
    """A car's windows, with or without a pillar in the middle."""
    return Material(StreetPattern.GLASS, body, (0.05, 0.055, 0.065), 1.0 if pillar else 0.0)


def metal(dice: Dice) -> Material:
    """Posts: grey or dark green."""
    grey = dice.between(0.06, 0.35)
    return plain((grey, grey * dice.between(1.0, 1.15), grey))


def sign(dice: Dice) -> Material:
    """A traffic sign's plate."""
    colour = dice.choice(((0.02, 0.1, 0.45), (0.55, 0.03, 0.03), (0.8, 0.6, 0.05), (0.85, 0.85, 0.85)))
    border = (0.55, 0.03, 0.03) if colour[1] > 0.8 else (0.85, 0.85, 0.85)
    return Material(StreetPattern.SIGN, colour, border)


def cloth(dice: Dice) -> Material:
    """Clothing, more often dark than bright."""
    value = (0.02, 0.15) if dice.chance(0.6) else (0.2, 0.7)
    return plain(dice.colour(_ANY, (0.05, 0.75), value))


def skin(dice: Dice) -> Material:
    """A face."""
    return plain(dice.colour((0.04, 0.08), (0.35, 0.6), (0.15, 0.65)))
