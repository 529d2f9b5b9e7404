"""A study: which fields of which row are tuned, for which objective, and with how many trials."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from rdc_sweeps.metrics.metric import MetricName
from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.ranges import Range
from rdc_sweeps.specs.table import Slug
from rdc_sweeps.specs.training import ProbeSpec

Seed = Annotated[int, Field(ge=0)]

FIXED_FIELDS = {
    "seed": "the study's `seeds` say with which seeds a trial is trained",
    "dataset": "what is trained on and measured must be the same for all trials",
    "labels": "what is trained on must be the same for all trials",
    "training.epochs": "the study's `epochs` says how long a trial is trained",
    "training.iterations": "the study's `epochs` says how long a trial is trained",
    "training.keep_checkpoints": "it changes nothing in a training",
    "training.keep_predictions": "it changes nothing in a training",
    "training.probe": "it changes nothing in a training",
    "training.precision": "a worker trains all of its trials in one; make one study for each",
    "method.extraction.regions": "region maps are made before a study; make one study per source of regions",
    "backbone.pretrained": "weights are checked before a study; make one study per initialisation",
    "backbone.encoder.pretrained": "weights are checked before a study; make one study per initialisation",
}
"""Fields that no study may tune, and the reason."""


def why_fixed(path: str) -> str | None:
    """Why no study may tune a field; None if one may."""
    return next(
        (reason for field, reason in FIXED_FIELDS.items() if path == field or path.startswith(f"{field}.")), None
    )


class DeltaObjective(Spec):
    """delta-m: the mean improvement over a baseline row, in percent, over the metrics of the table."""

    name: Literal["delta-m"] = "delta-m"
    baseline: str | None = Field(None, description="Row of the same table; null for the tuned row's own baseline.")


class MetricObjective(Spec):
    """One metric."""

    name: Literal["metric"] = "metric"
    metric: MetricName


class AlignmentObjective(Spec):
    """Alignment of a cross-task term: whether its gradient points where withheld labels would point.

    It is the mean over tasks of the cosine between its gradient and that of the supervised loss, with respect to the
    prediction, as a probe after every epoch measures it.
    """

    name: Literal["alignment"] = "alignment"
    term: str | None = Field(
        None, description="Name of the term, such as region_contrast; null for the only term of the row's method."
    )
    images: int = Field(
        ProbeSpec().images, ge=1, description="Training images that are probed, with all of their labels."
    )


ObjectiveSpec = Annotated[DeltaObjective | MetricObjective | AlignmentObjective, Field(discriminator="name")]


class SamplerBase(Spec):
    """Fields of all samplers."""

    seed: int = Field(0, ge=0, description="Seed of the sampler: with the trials so far, it determines the next one.")


class TpeSampler(SamplerBase):
    """Tree-structured Parzen estimator over all fields jointly; running trials count as bad ones until they end."""

    name: Literal["tpe"] = "tpe"
    startup_trials: int = Field(10, ge=0, description="Trials drawn at random before the model is used.")


class GpSampler(SamplerBase):
    """A Gaussian process with expected improvement."""

    name: Literal["gp"] = "gp"
    startup_trials: int = Field(10, ge=1, description="Trials drawn at random before the model is used.")


class RandomSampler(SamplerBase):
    """Independent draws."""

    name: Literal["random"] = "random"


class GridSampler(SamplerBase):
    """Every combination once, in random order; the number of combinations limits the number of trials."""

    name: Literal["grid"] = "grid"
    points: int = Field(5, ge=2, description="Number of values in a range, both ends included.")


SamplerSpec = Annotated[TpeSampler | GpSampler | RandomSampler | GridSampler, Field(discriminator="name")]


class HyperbandPruner(Spec):
    """Hyperband: at increasing numbers of epochs, only the best 1 in `reduction` continue."""

    name: Literal["hyperband"] = "hyperband"
    min_epochs: int = Field(1, ge=1, description="No trial is pruned earlier.")
    reduction: int = Field(3, ge=2)


class MedianPruner(Spec):
    """A trial is pruned if it is worse than the median of the others at the same epoch."""

    name: Literal["median"] = "median"
    startup_trials: int = Field(5, ge=1, description="Finished trials before any is pruned.")
    warmup_epochs: int = Field(1, ge=0, description="No trial is pruned earlier.")


class NoPruner(Spec):
    """Every trial is trained to its end."""

    name: Literal["none"] = "none"


class WilcoxonPruner(Spec):
    """A trial is pruned when a Wilcoxon signed-rank test over the seeds finds it worse than the best one."""

    name: Literal["wilcoxon"] = "wilcoxon"
    p: float = Field(0.1, gt=0, lt=1, description="Level of the test.")
    startup_seeds: int = Field(2, ge=2, description="Seeds before the first test.")


PrunerSpec = Annotated[HyperbandPruner | MedianPruner | NoPruner | WilcoxonPruner, Field(discriminator="name")]


class StudySpec(Spec):
    """A search for a row's best configuration, by a validation split held out of its training images."""

    study: Slug
    title: str
    table: str = Field(description="Table of the tuned row.")
    row: str = Field(description="The row that is tuned.")
    set: dict[str, Any] | tuple[str, ...] = Field(
        default_factory=dict,
        description="Changes to the row in all trials, as a mapping or as a list of a.b=c. Changes outside the method "
        "apply to the baseline row as well.",
    )
    objective: ObjectiveSpec = DeltaObjective()
    space: dict[str, Range] = Field(min_length=1, description="Dotted paths of a run, and the values to try.")
    enqueue: tuple[dict[str, Any], ...] = Field(
        ({},), description="Trials to run first: values by path; omitted paths keep the row's own value."
    )
    sampler: SamplerSpec = TpeSampler()
    pruner: PrunerSpec = HyperbandPruner()
    seeds: tuple[Seed, ...] = Field((0,), min_length=1, description="Each trial trains once with each seed.")
    epochs: int | None = Field(None, ge=1, description="training.epochs of a trial; null for the row's own length.")
    trials: int = Field(50, ge=1, description="Number of trials, unless the command line gives another.")
    confirm: tuple[Seed, ...] = Field((1, 2, 3), description="Other seeds, for training the chosen configuration.")

    @field_validator("seeds", "confirm")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"a seed is listed more than once: {list(seeds)}")
        return seeds

    @field_validator("confirm")
    @classmethod
    def _fresh(cls, confirm: tuple[int, ...], info: Any) -> tuple[int, ...]:
        # The choice is partly the luckiest trial on these seeds; they would confirm the luck.
        if used := set(confirm) & set(info.data.get("seeds", ())):
            raise ValueError(f"seed {min(used)} is a seed of the trials, which cannot confirm the choice")
        return confirm

    @model_validator(mode="after")
    def _test_has_power(self) -> Self:
        # The smallest p of a one-sided signed-rank test over n pairs is 2^-n; after the last seed nothing is saved.
        if isinstance(self.pruner, WilcoxonPruner) and 2.0 ** (1 - len(self.seeds)) >= self.pruner.p:
            raise ValueError(
                f"pruner: over {len(self.seeds)} seeds a Wilcoxon test at {self.pruner.p} can end no trial; give more "
                "seeds, or choose hyperband"
            )
        return self
