"""The record of the data that a run was trained on, by which other data are recognised."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict


class SplitRecord(BaseModel):
    """A split as it was found: the whole split, whichever of its images a run uses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    digest: str
    """Of names, sizes and sampled content; it does not depend on the folder or on times."""
    means: Mapping[str, float] = {}
    """The mean of each kind of array over a few images, to explain what has changed."""


class DataRecord(BaseModel):
    """The data of a run. What is None is not used, or unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: str | None
    """Where the data set was; the same data elsewhere are no other data."""
    train: SplitRecord
    test: SplitRecord
    training_images: int
    validation_images: int
    test_images: int
    labels: str | None = None
    """Digest of the label setting."""
    weights: str | None = None
    """Digest of the file of pretrained weights."""
    regions: str | None = None
    """Digest of the region maps of the training images."""


class _Names(NamedTuple):
    field: str
    name: str


_SPLITS = (_Names("train", "training"), _Names("test", "test"))
_PARTS = (_Names("labels", "label setting"), _Names("weights", "pretrained weights"), _Names("regions", "region maps"))


def difference(then: DataRecord, now: DataRecord) -> str | None:
    """What is different in the data of now, in words; None if nothing is that both records know."""
    return ", ".join(_differences(then, now)) or None


def of_other_data(changed: str) -> str:
    """Says of a checkpoint that its data were others, and what to do."""
    return f"was trained on other data ({changed}); put its data back, or train from the beginning with --rerun"


def _differences(then: DataRecord, now: DataRecord) -> Iterator[str]:
    for field, name in _SPLITS:
        old, new = getattr(then, field), getattr(now, field)
        if old.images != new.images:
            yield f"{old.images} {name} images then, {new.images} now"
        elif old.digest != new.digest:
            changed = {
                kind: (mean, new.means[kind]) for kind, mean in old.means.items() if _differ(mean, new.means.get(kind))
            }
            yield from (
                f"mean {kind} of the {name} images {a:.4g} then, {b:.4g} now" for kind, (a, b) in changed.items()
            )
            if not changed:
                yield f"other files of {name} images"
    for field, name in _PARTS:
        old, new = getattr(then, field), getattr(now, field)
        if None not in (old, new) and old != new:
            yield f"other {name}"


def _differ(old: float, new: float | None) -> bool:
    return new is not None and abs(old - new) > 1e-3 * max(abs(old), abs(new))
