"""Real street images in the layout of Cityscapes; each has a semantic label or a disparity, none has both."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

_DISPARITY = 2048 / 256 / 65535
"""From 256ths of a pixel at 256 pixels of width to Cityscapes' 256ths at 2048, as a fraction of 65535."""


def write_streets(street: Path, root: Path, settings: Path, train: int, test: int) -> int:
    """Write `{train,val}/{image,label_7,depth}/N.npy` and the label setting that fits.

    Args:
        street: The folder with `seg/` and `depth/`.
        root: Where to write the data set.
        settings: Where to write `cityscapes_settings/onelabel.pth`.
        train, test: Images of each of both kinds per split.

    Returns:
        Training images.
    """
    semantic = sorted((street / "seg/image").iterdir())
    disparity = sorted((street / "depth/image").iterdir())
    columns = []
    for split, first, count in (("train", 0, train), ("val", train, test)):
        chosen = [path for pair in zip(semantic[first:], disparity[first:], strict=False) for path in pair][: 2 * count]
        for folder in ("image", "label_7", "depth"):
            (root / split / folder).mkdir(parents=True)
        for row, path in enumerate(chosen):
            for folder, array in _arrays(street, path).items():
                np.save(root / split / folder / f"{row}.npy", array)
            if split == "train":
                columns.append(0 if path in semantic else 1)
    (settings / "cityscapes_settings").mkdir(parents=True)
    weights = torch.nn.functional.one_hot(torch.tensor(columns), 2).float()
    torch.save({"labels_weights": weights}, settings / "cityscapes_settings/onelabel.pth")
    return len(columns)


def _arrays(street: Path, path: Path) -> dict[str, np.ndarray[Any, Any]]:
    image = np.asarray(Image.open(path).convert("RGB"))
    label, depth = np.full(image.shape[:2], -1, dtype=np.int16), np.zeros(image.shape[:2], dtype=np.float32)
    if path.parent.parent.name == "seg":
        stored = np.asarray(Image.open(street / "seg/label" / f"{path.stem}.png")).astype(np.int16)
        label = np.where(stored == 255, np.int16(-1), stored)
    else:
        stored = np.asarray(Image.open(street / "depth/disp_sgm" / f"{path.stem}.png"))
        depth = stored.astype(np.float32) * np.float32(_DISPARITY)
    return {"image": image, "label_7": label, "depth": depth}
