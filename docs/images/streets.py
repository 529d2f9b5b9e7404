"""Draws streets.png: four scenes of the embedded street data set with their exact labels."""

from pathlib import Path

import matplotlib.pyplot as plt

from rdc_sweeps.synthetic.streets.scenes import render
from rdc_sweeps.training.colours import depth_colours, semantic_colours

INDICES = (37, 40, 41, 39)


def main() -> None:
    """Write the figure beside this file."""
    titles = ("image", "semantic", "disparity")
    figure, axes = plt.subplots(len(titles), len(INDICES), figsize=(14, 5.4), layout="constrained")
    for column, index in enumerate(INDICES):
        scene = render(0, index, (192, 384))
        assert scene.semantic is not None
        assert scene.depth is not None
        pictures = (scene.image, semantic_colours(scene.semantic), depth_colours(scene.depth, 0.0, 0.35))
        for row, (title, picture) in enumerate(zip(titles, pictures, strict=True)):
            axis = axes[row, column]
            axis.imshow(picture, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if column == 0:
                axis.set_ylabel(title, fontsize=14)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=70, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
