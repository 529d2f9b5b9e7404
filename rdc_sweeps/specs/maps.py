"""Region maps of some images, without a run that reads them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic_core

from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.dataset import DatasetSpec
from rdc_sweeps.specs.document import Document, assignment, overlay
from rdc_sweeps.specs.fields import Location
from rdc_sweeps.specs.sources import RegionSource
from rdc_sweeps.specs.validation import build


class MapsSpec(Spec):
    """A region source, and the images: the training images of a data set, or all in a folder."""

    regions: RegionSource
    dataset: DatasetSpec | None = None
    images: Path | None = None

    @property
    def title(self) -> str:
        """As messages name it."""
        return f"{self.regions.source} regions of {self.dataset.name if self.dataset else self.images}"

    def words(self) -> Iterator[str]:
        """The options of `regions build` that describe this; see `maps_spec`."""
        yield from ("--generator", self.regions.source)
        yield from _assignments("regions", self.regions)
        if self.dataset:
            yield from ("--dataset", self.dataset.name)
            yield from _assignments("dataset", self.dataset)
        if self.images:
            yield from ("--images", str(self.images))


def maps_spec(generator: str, dataset: str | None, images: Path | None, settings: Sequence[str] = ()) -> MapsSpec:
    """The maps that a command line describes.

    Args:
        generator: The `source` of a region source.
        dataset: Name of a data set.
        images: A folder of images.
        settings: Assignments `regions.a=b` and `dataset.a=b`.

    Raises:
        SpecError: All problems of the names and assignments.
    """
    data: dict[str, Any] = {"regions": {"source": generator}}
    places: dict[Location, str] = {(): "regions", ("regions", "source"): f"--generator {generator}"}
    if dataset is not None:
        data["dataset"] = {"name": dataset}
        places["dataset", "name"] = f"--dataset {dataset}"
    if images is not None:
        data["images"] = str(images)
    document = Document(data, places)
    for text in settings:
        document = overlay(document, assignment(text))
    return build(MapsSpec, document)


def _assignments(name: str, spec: Spec) -> Iterator[str]:
    """Options that set all fields with other values than their defaults."""
    fields: Mapping[str, Any] = spec.model_dump(mode="json", exclude_defaults=True)
    for field, value in fields.items():
        yield from ("--set", f"{name}.{field}={pydantic_core.to_json(value).decode()}")
