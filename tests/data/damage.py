"""Damaged copies of files."""

import random
from collections.abc import Iterator


def mutations(content: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Copies with a flipped bit, cut short, or with some bytes replaced, removed or inserted; a third each.

    Half of the flipped bits are in the first 400 bytes, where formats keep their headers.
    """
    rng = random.Random(seed)
    for number in range(count):
        damaged = bytearray(content)
        where = rng.randrange(len(content))
        match number % 3:
            case 0:
                where = where % 400 if rng.random() < 0.5 else where
                damaged[where] ^= 1 << rng.randrange(8)
            case 1:
                del damaged[where:]
            case 2:
                damaged[where : where + rng.randrange(1, 16)] = rng.randbytes(rng.randrange(16))
        yield bytes(damaged)
