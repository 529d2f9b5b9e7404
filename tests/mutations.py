"""Damage to files, drawn with a fixed seed, and what reading the damaged files gives."""

import operator
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rdc_sweeps.errors import RdcError


def mutations(content: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """`count` damaged versions of a file, never the file itself."""
    dice = random.Random(seed)
    while count:
        damaged = _mutated(bytearray(content), dice)
        if damaged != content:
            count -= 1
            yield damaged


def _mutated(text: bytearray, dice: random.Random) -> bytes:
    place, length = dice.randrange(len(text)), dice.randrange(1, 48)
    other = dice.randrange(len(text))
    match dice.randrange(9):
        case 0:
            text[place] ^= 1 << dice.randrange(8)
        case 1:
            text[place] = dice.randrange(256)
        case 2:
            # Another digit or letter: what a checksum notices and a parser does not.
            text[place] = dice.choice(b"0123456789abcdef")
        case 3:
            del text[place:]
        case 4:
            del text[place : place + length]
        case 5:
            text[place : place + length] = bytes(len(text[place : place + length]))
        case 6:
            text[place:place] = text[other : other + length]
        case 7:
            # A whole line is lost, or the rest of the file from its beginning on.
            begin = text.rfind(b"\n", 0, place) + 1
            end = text.find(b"\n", place) + 1 if dice.randrange(2) else len(text)
            del text[begin : end or len(text)]
        case _:
            text[place], text[other] = text[other], text[place]
    return bytes(text)


@dataclass
class Readings:
    """What damaged files gave."""

    refused: int = 0
    same: int = 0
    """Read as what was written: the damage was to what means nothing."""
    different: list[bytes] = field(default_factory=list)
    uncaught: list[str] = field(default_factory=list)


def read_damaged(
    path: Path,
    count: int,
    read: Callable[[], Any],
    same: Callable[[Any, Any], bool] = operator.eq,
) -> Readings:
    """Damage a file `count` times, read it each time, and restore it."""
    content, wanted = path.read_bytes(), read()
    readings = Readings()
    for damaged in mutations(content, count):
        path.write_bytes(damaged)
        try:
            found = read()
        except RdcError:
            readings.refused += 1
        except Exception as error:
            readings.uncaught.append(f"{type(error).__name__}: {error}")
        else:
            if same(found, wanted):
                readings.same += 1
            else:
                readings.different.append(damaged)
    path.write_bytes(content)
    assert readings.refused > count / 2
    return readings
