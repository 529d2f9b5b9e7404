"""Draws regions.png: the region sources that need no checkpoint, on a room of the embedded data set."""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import torch

from rdc_sweeps.regions.drawing import draw_regions
from rdc_sweeps.regions.maps import patch_regions, semantic_regions
from rdc_sweeps.regions.superpixels import SuperpixelGenerator
from rdc_sweeps.specs.dataset import RoomsSpec
from rdc_sweeps.specs.sources import SuperpixelRegions
from rdc_sweeps.synthetic.rooms.scenes import open_rooms


def main() -> None:
    """Write the figure beside this file."""
    spec = RoomsSpec(size=(288, 384))
    with TemporaryDirectory() as cache:
        rooms, _ = open_rooms(spec, None, Path(cache))
        scene = rooms.scene(4, rooms.tasks)
    assert scene.semantic is not None
    merged = SuperpixelRegions(algorithm="merged", segments=60, compactness=10, sigma=0.5)
    maps = {
        "slic, segments 60": SuperpixelGenerator(SuperpixelRegions(segments=60))(scene.image),
        "merged, segments 60": SuperpixelGenerator(merged)(scene.image),
        "semantic label": semantic_regions(torch.from_numpy(scene.semantic)).numpy(),
        # Patches are laid on the map that regions are read on, half the image's size.
        "patches, size 8": patch_regions(144, 192, 8).numpy().repeat(2, axis=0).repeat(2, axis=1),
    }
    pictures = {"image": np.round(scene.image * 255).astype(np.uint8)}
    for name, ids in maps.items():
        pictures[f"{name}: {len(np.unique(ids[ids >= 0]))} regions"] = draw_regions(scene.image, ids)
    figure, axes = plt.subplots(1, len(pictures), figsize=(4 * len(pictures), 3.4), layout="constrained")
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(title)
        axis.axis("off")
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=72)


if __name__ == "__main__":
    main()
