"""The `rooms` data set."""

from pathlib import Path

from rdc_sweeps.data.nyuv2 import LAYOUT
from rdc_sweeps.specs.base import Size
from rdc_sweeps.specs.dataset import RoomsSpec
from rdc_sweeps.synthetic.engine.dataset import FIRST_TEST_INDEX, RenderedScenes, Renderer
from rdc_sweeps.synthetic.rooms.render import GENERATOR_VERSION, render

_RENDERER = Renderer("rooms", GENERATOR_VERSION, LAYOUT, render)


class Rooms(RenderedScenes):
    """Scenes `first` to `first + count - 1` of the rooms that `seed` determines."""

    def __init__(self, seed: int, first: int, count: int, size: Size, cache: Path) -> None:
        super().__init__(_RENDERER, seed, first, count, size, cache)


def open_rooms(spec: RoomsSpec, root: Path | None, cache: Path) -> tuple[Rooms, Rooms]:
    """The training split, with the images that are held out at its end, and the test split; nothing is read."""
    training = spec.train_images + spec.validation_images
    return (
        Rooms(spec.seed, 0, training, spec.size, cache),
        Rooms(spec.seed, FIRST_TEST_INDEX, spec.test_images, spec.size, cache),
    )
