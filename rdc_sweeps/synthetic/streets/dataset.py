"""The `streets` data set."""

from pathlib import Path

from rdc_sweeps.data.cityscapes import LAYOUT
from rdc_sweeps.specs.base import Size
from rdc_sweeps.specs.dataset import StreetsSpec
from rdc_sweeps.synthetic.engine.dataset import FIRST_TEST_INDEX, RenderedScenes, Renderer
from rdc_sweeps.synthetic.streets.render import GENERATOR_VERSION, render

_RENDERER = Renderer("streets", GENERATOR_VERSION, LAYOUT, render)


class Streets(RenderedScenes):
    """Scenes `first` to `first + count - 1` of the streets that `seed` determines."""

    def __init__(self, seed: int, first: int, count: int, size: Size, cache: Path) -> None:
        super().__init__(_RENDERER, seed, first, count, size, cache)


def open_streets(spec: StreetsSpec, root: Path | None, cache: Path) -> tuple[Streets, Streets]:
    """The training split, with the images that are held out at its end, and the test split; nothing is read."""
    training = spec.train_images + spec.validation_images
    return (
        Streets(spec.seed, 0, training, spec.size, cache),
        Streets(spec.seed, FIRST_TEST_INDEX, spec.test_images, spec.size, cache),
    )
