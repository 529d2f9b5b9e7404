"""Things beside a road: houses, trees, lamps, signs; each around x = z = 0 on y = 0."""

import math

from rdc_sweeps.synthetic.engine.boxes import Box, Material, block
from rdc_sweeps.synthetic.engine.dice import Dice
from rdc_sweeps.synthetic.streets import materials
from rdc_sweeps.synthetic.streets.textures import STOREY
from rdc_sweeps.synthetic.streets.traffic import CONSTRUCTION, NATURE, OBJECT


def house(dice: Dice, width: float, depth: float, storeys: int) -> list[Box]:
    """A house; its x sides face the street; `width` is along z."""
    height = 3.6 + STOREY * storeys + 0.6
    boxes = [block(CONSTRUCTION, materials.facade(dice), (-depth / 2, depth / 2), (0, height), (-width / 2, width / 2))]
    roof = materials.plain(dice.colour((0.0, 0.07), (0.1, 0.6), (0.08, 0.3)))
    if dice.chance(0.6):
        rim = depth / 2 + 0.25
        boxes.append(
            block(CONSTRUCTION, roof, (-rim, rim), (height, height + 0.5), (-width / 2 - 0.05, width / 2 + 0.05))
        )
    return boxes


def wall(dice: Dice, width: float) -> list[Box]:
    """A garden wall or fence along z."""
    surface = materials.plain(dice.colour((0.03, 0.12), (0.05, 0.4), (0.15, 0.5)))
    return [block(CONSTRUCTION, surface, (-0.12, 0.12), (0, dice.between(1.0, 2.2)), (-width / 2, width / 2))]


def tree(dice: Dice, leaves: Material, lumps: int) -> list[Box]:
    """A tree: a trunk under a crown of turned and tilted boxes, `lumps` of them."""
    crown = dice.between(1.2, 2.3)
    trunk = dice.between(1.8, 3.2)
    thick = dice.between(0.1, 0.22)
    boxes = [block(NATURE, materials.bark(dice), (-thick, thick), (0, trunk + crown), (-thick, thick))]
    for number in range(lumps):
        spread = 0.0 if number == 0 else 0.65 * crown
        angle = dice.between(0, 2 * math.pi)
        half = crown * (0.75 if number == 0 else dice.between(0.4, 0.6))
        centre = (
            spread * math.cos(angle),
            trunk + crown * (dice.between(0.6, 1.6) if number else 1.0),
            spread * math.sin(angle),
        )
        boxes.append(
            Box(NATURE, leaves, centre, (half, half * dice.between(0.8, 1.1), half), angle, dice.between(0.3, 1.2))
        )
    return boxes


def hedge(dice: Dice, leaves: Material, width: float) -> list[Box]:
    """A hedge along z."""
    half = dice.between(0.3, 0.7)
    return [block(NATURE, leaves, (-half, half), (0, dice.between(0.8, 2.0)), (-width / 2, width / 2))]


def bush(dice: Dice, leaves: Material) -> list[Box]:
    """A bush."""
    half = dice.between(0.4, 0.9)
    return [
        Box(NATURE, leaves, (offset, 0.7 * half, 0.0), (half, half, half), turn, 0.5)
        for offset, turn in ((-0.3 * half, dice.between(0, 1.5)), (0.4 * half, dice.between(0, 1.5)))
    ]


def street_lamp(dice: Dice, towards: float) -> list[Box]:
    """A lamp on a post, with an arm over the road (`towards` is -1 or 1 in x)."""
    metal, top, reach = materials.metal(dice), dice.between(5.5, 8.5), dice.between(0.8, 2.0)
    arm = sorted((0.0, towards * reach))
    return [
        block(OBJECT, metal, (-0.08, 0.08), (0, top), (-0.08, 0.08)),
        block(OBJECT, metal, (arm[0], arm[1]), (top - 0.1, top), (-0.04, 0.04)),
        block(
            OBJECT,
            materials.plain((0.5, 0.5, 0.48)),
            (towards * reach - 0.3, towards * reach + 0.3),
            (top - 0.22, top - 0.08),
            (-0.12, 0.12),
        ),
    ]


def traffic_sign(dice: Dice) -> list[Box]:
    """A sign on a post, usually seen from the front."""
    top, half = dice.between(2.2, 2.9), dice.between(0.26, 0.36)
    tilt = math.pi / 4 if dice.chance(0.3) else 0.0
    plate = (0.02, half, half) if tilt else (half, half, 0.02)
    turn = math.pi / 2 if tilt else 0.0
    return [
        block(OBJECT, materials.metal(dice), (-0.04, 0.04), (0, top), (-0.04, 0.04)),
        Box(OBJECT, materials.sign(dice), (0.0, top - 0.1, -0.07), plate, turn, tilt),
    ]


def traffic_light(dice: Dice) -> list[Box]:
    """A traffic light on a post."""
    top = dice.between(2.9, 3.6)
    boxes = [
        block(OBJECT, materials.metal(dice), (-0.06, 0.06), (0, top), (-0.06, 0.06)),
        block(OBJECT, materials.plain((0.02, 0.02, 0.02)), (-0.17, 0.17), (top - 0.95, top + 0.05), (-0.3, -0.06)),
    ]
    colour, height = dice.choice((((0.9, 0.05, 0.03), 0.12), ((0.05, 0.8, 0.3), 0.72)))
    middle = top - height
    boxes.append(block(OBJECT, materials.plain(colour), (-0.1, 0.1), (middle - 0.1, middle + 0.1), (-0.33, -0.3)))
    return boxes


def bollard(dice: Dice) -> list[Box]:
    """A bollard."""
    return [block(OBJECT, materials.metal(dice), (-0.07, 0.07), (0, dice.between(0.7, 1.0)), (-0.07, 0.07))]


def litter_bin(dice: Dice) -> list[Box]:
    """A litter bin or a junction box."""
    half, top = dice.between(0.2, 0.45), dice.between(0.9, 1.4)
    surface = materials.plain(dice.colour((0.2, 0.6), (0.05, 0.5), (0.08, 0.5)))
    return [block(OBJECT, surface, (-half, half), (0, top), (-half, half))]
