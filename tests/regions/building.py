"""A build in a process of its own: `building.py STORE IMAGES SECONDS SHARD SHARDS HOLD` prints what it built and found.

Each map takes SECONDS, so that a test can build beside it. After HOLD images it waits to be killed, unless HOLD is 0.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.regions.build import Shard, build_regions
from rdc_sweeps.regions.generator import eight_bit, generator_key
from rdc_sweeps.regions.store import RegionStore

KEY = generator_key({"source": "brightness"})


class Pictures:
    """Random images."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def image(self, index: int) -> NDArray[np.float32]:
        return np.random.default_rng(index).random((6, 8, 3)).astype(np.float32)


class Brightness:
    """Ids of dark and bright pixels, slowly."""

    key = KEY

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds

    def __call__(self, image: NDArray[np.floating]) -> NDArray[np.int32]:
        time.sleep(self.seconds)
        return (eight_bit(image)[..., 0] > 127).astype(np.int32)


def main() -> None:
    """Build, with a line on stdout after each image."""
    root, count, seconds, hold = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[6])

    def told(done: int, total: int) -> None:
        print(done, total, flush=True)
        if done == hold:
            time.sleep(600)

    report = build_regions(
        Pictures(count),
        Brightness(seconds),
        RegionStore(root, KEY),
        told,
        Shard(int(sys.argv[4]), int(sys.argv[5])),
    )
    print(json.dumps({"built": report.built, "reused": report.reused}), flush=True)


if __name__ == "__main__":
    main()
