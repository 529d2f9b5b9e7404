"""Draws rooms.png: four scenes of the embedded data set with their exact labels."""

from pathlib import Path

import matplotlib.pyplot as plt

from rdc_sweeps.synthetic.rooms.scenes import render
from rdc_sweeps.training.colours import depth_colours, normal_colours, semantic_colours

INDICES = (57, 64, 74, 56)


def main() -> None:
    """Write the figure beside this file."""
    titles = ("image", "semantic", "depth", "normals")
    figure, axes = plt.subplots(len(titles), len(INDICES), figsize=(12, 9.1), layout="constrained")
    for column, index in enumerate(INDICES):
        scene = render(0, index, (288, 384))
        assert scene.semantic is not None
        assert scene.depth is not None
        assert scene.normal is not None
        pictures = (
            scene.image,
            semantic_colours(scene.semantic),
            depth_colours(scene.depth, 0.8, 5.0),
            normal_colours(scene.normal.transpose(2, 0, 1)),
        )
        for row, (title, picture) in enumerate(zip(titles, pictures, strict=True)):
            axis = axes[row, column]
            axis.imshow(picture, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if column == 0:
                axis.set_ylabel(title, fontsize=14)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=80, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
