"""What was measured of the variants, as stored in docs/findings/regime.json."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.regime.variants import Variant
from rdc_sweeps.errors import UsageError
from rdc_sweeps.files import write_json
from rdc_sweeps.probing.record import Probe
from rdc_sweeps.specs.base import Task

MeasuredKey = tuple[tuple[str, ...], str, int, int, bool]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Measured(_Record):
    """The probe of one variant on one network, without its regions.

    Attributes:
        group: See `Variant`.
        name: See `Variant`.
        changes: See `Variant`.
        run: Id of the run whose network it is.
        refit: Steps for which a_theta was trained on it.
        images: Number of training images that were asked for.
        true_regions: See `Variant`.
        accuracy: Mean over batches, by substitute.
        chance: Mean over regions.
        prediction: By task and image, the cosine with respect to the prediction.
        parameters: By task or `all`, the cosines with respect to the parameters, by batch.
        ratio: Mean over batches of the ratio of norms, all tasks, with the term's weight.
        path: Value of the term on the way to the truth, less that of the network's own prediction; means over batches.
    """

    group: str
    name: str
    changes: tuple[str, ...]
    run: str
    refit: int
    images: int = 96
    true_regions: bool = False
    accuracy: dict[str, float]
    chance: float
    prediction: dict[Task, dict[int, float]]
    parameters: dict[str, list[float]]
    ratio: float
    path: list[float]

    @classmethod
    def of(cls, variant: Variant, run: str, refit: int, images: int, probe: Probe) -> "Measured":
        """Of the probe of a variant."""
        headline = {name.removeprefix(f"{probe.term}/"): value for name, value in probe.headline().items()}
        start, *_ = probe.path
        return cls(
            group=variant.group,
            name=variant.name,
            changes=variant.changes,
            run=run,
            refit=refit,
            images=images,
            true_regions=variant.true_regions,
            accuracy={name: round(headline[f"accuracy/{name}"], 5) for name in probe.accuracy},
            chance=round(headline["chance"], 5),
            prediction={
                task: {image: round(value, 5) for image, value in values.items()}
                for task, values in probe.prediction.items()
            },
            parameters={
                name: [round(value, 5) for value in values if value is not None]
                for name, values in probe.parameters.items()
            },
            ratio=round(headline["ratio/all"], 5),
            path=[
                round(sum(value - own for value, own in zip(place, start, strict=True)) / len(start), 5)
                for place in probe.path
            ],
        )

    @property
    def key(self) -> MeasuredKey:
        """What is measured once."""
        return self.changes, self.run, self.refit, self.images, self.true_regions


class Regime(_Record):
    """All that was measured."""

    measured: tuple[Measured, ...] = ()

    def with_(self, one: Measured) -> "Regime":
        """These and another, which takes the place of an earlier one of the same key."""
        kept = [earlier for earlier in self.measured if earlier.key != one.key]
        return Regime(measured=(*kept, one))


def read_regime(path: Path) -> Regime:
    """Read what was stored; empty if nothing was.

    Raises:
        UsageError: It is damaged.
    """
    try:
        return Regime.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Regime()
    except ValidationError as error:
        raise UsageError(f"{path}: damaged; restore it from version control") from error


def write_regime(path: Path, regime: Regime) -> None:
    write_json(path, regime.model_dump(mode="json"))
