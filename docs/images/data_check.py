"""Draws data_check.png: the contact sheet of a check of rooms, two of whose label files have changed places."""

import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from rdc_sweeps.data.checking.check import check_root
from rdc_sweeps.reporting.figures.data_sheet import draw_sheet
from rdc_sweeps.reporting.figures.style import encoded
from rdc_sweeps.synthetic.rooms.scenes import render

TRAIN, TEST = 40, 16

LINES = 550
"""Lines of pixels that are shown."""

EXCHANGED = {3: 31, 31: 3}
"""Training scenes that are written with the labels of another."""


def main() -> None:
    """Write the figure beside this file."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for split, first, count in (("train", 0, TRAIN), ("val", TRAIN, TEST)):
            for index in range(count):
                scene = render(0, first + index, (96, 128))
                other = render(0, first + EXCHANGED.get(index, index), (96, 128)) if split == "train" else scene
                maps = {"image": scene.image, "label": other.semantic, "depth": scene.depth, "normal": scene.normal}
                for folder, values in maps.items():
                    assert values is not None
                    path = root / split / folder / f"{index}.npy"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    np.save(path, values)
        check = check_root(root, "rooms", workers=1)
        sheet = Image.open(io.BytesIO(encoded(draw_sheet(check))))
    # Its first lines, in few colours, since the page needs no more.
    part = sheet.resize((sheet.width * 2 // 3, sheet.height * 2 // 3)).crop((0, 0, sheet.width * 2 // 3, LINES))
    part.convert("RGB").quantize(128).save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
