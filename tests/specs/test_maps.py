import shlex
from pathlib import Path

import pytest

from rdc_sweeps.errors import SpecError
from rdc_sweeps.specs.dataset import RoomsSpec
from rdc_sweeps.specs.maps import MapsSpec, maps_spec
from rdc_sweeps.specs.sources import SamRegions, SuperpixelRegions


def parsed(words: list[str]) -> MapsSpec:
    """What `regions build` makes of these options."""
    given: dict[str, list[str]] = {"--generator": [], "--dataset": [], "--images": [], "--set": []}
    for name, value in zip(words[::2], words[1::2], strict=True):
        given[name].append(value)
    (generator,) = given["--generator"]
    dataset = given["--dataset"][0] if given["--dataset"] else None
    folder = Path(given["--images"][0]) if given["--images"] else None
    return maps_spec(generator, dataset, folder, given["--set"])


@pytest.mark.parametrize(
    "maps",
    [
        MapsSpec(regions=SuperpixelRegions(), dataset=RoomsSpec()),
        MapsSpec(
            regions=SuperpixelRegions(algorithm="merged", sigma=0.5),
            dataset=RoomsSpec(size=(64, 96), train_images=7, seed=3),
        ),
        MapsSpec(
            regions=SamRegions(checkpoint="it's mine.pth", point_grids=(((0.5, 0.25),),)),
            images=Path("/data/my images"),
        ),
    ],
    ids=["defaults", "a data set", "a folder"],
)
def test_words_describe_the_same_maps(maps: MapsSpec) -> None:
    assert parsed(list(maps.words())) == maps
    assert parsed(shlex.split(shlex.join(maps.words()))) == maps


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(SpecError) as error:
        maps_spec("superpixel", "rooms", None, ["regions.segment=3", "dataset.size=[3, 4]"])
    first, second = error.value.problems
    assert "--set regions.segment=3" in first
    assert "segments" in first
    assert "--set dataset.size=[3, 4]" in second
