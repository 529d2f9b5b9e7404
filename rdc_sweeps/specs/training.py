"""Optimisation: length, learning rates, schedules and augmentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.base import LearningRate, Spec, Weight


class ConstantSchedule(Spec):
    """A constant learning rate."""

    name: Literal["constant"] = "constant"


class StepSchedule(Spec):
    """The learning rate is multiplied by `factor` every `period` epochs."""

    name: Literal["step"] = "step"
    period: int = Field(10, ge=1, le=10**6, description="In epochs.")
    factor: float = Field(0.5, gt=0, le=1, description="Of the learning rate after each period.")


class CosineRestartsSchedule(Spec):
    """Cosine annealing with warm restarts (Loshchilov & Hutter 2017), per epoch."""

    name: Literal["cosine_restarts"] = "cosine_restarts"
    period: int = Field(10, ge=1, le=10**6, description="T_0, in epochs.")
    minimum: float = Field(1e-6, ge=0, le=1, description="The lowest learning rate.")


class CosineSchedule(Spec):
    """Cosine annealing to `minimum` over the whole training, per epoch."""

    name: Literal["cosine"] = "cosine"
    minimum: float = Field(1e-6, ge=0, le=1, description="The lowest learning rate.")


class PolynomialSchedule(Spec):
    """The learning rate falls to 0 as (1 - step / steps) ** `power` over the whole training, per step."""

    name: Literal["polynomial"] = "polynomial"
    power: float = Field(0.9, gt=0, le=100, description="1 is a straight line.")


ScheduleSpec = Annotated[
    ConstantSchedule | StepSchedule | CosineRestartsSchedule | CosineSchedule | PolynomialSchedule,
    Field(discriminator="name"),
]


class NetworkGroup(Spec):
    """Adam's parameter group for the networks: all parameters except a_theta's FiLM parameters."""

    learning_rate: LearningRate = Field(5e-4, description="At the start of the schedule.")
    schedule: ScheduleSpec = CosineRestartsSchedule()


class FilmGroup(Spec):
    """Adam's parameter group for a_theta's FiLM scales and shifts."""

    learning_rate: LearningRate = Field(1e-3, description="At the start of the schedule.")
    schedule: ScheduleSpec = StepSchedule()


class AugmentationSpec(Spec):
    """Random scale crops: view 1 feeds the supervised losses, view 2 (a crop of view 1) the cross-task loss."""

    scales: tuple[Annotated[float, Field(ge=1, le=16)], ...] = Field(
        (1.0, 1.2, 1.5), min_length=1, description="Zooms."
    )
    crop: Literal["exact", "released"] = Field(
        "exact",
        description="exact: windows at any position, every view sampled once from the original, labels from the "
        "nearest pixel; released: windows of whole pixels, stretched until their corner pixels fit, view 2 cut from "
        "the resampled view 1, and normals interpolated too, as in the released code and Li et al.'s.",
    )
    views: Literal[1, 2] = Field(2, description="2: the cross-task loss sees a crop of view 1; 1: view 1 itself.")
    flip: bool = Field(False, description="Horizontal flips with probability 1/2.")
    flip_again: bool = Field(
        False,
        description="View 2 is flipped once more with probability 1/2, as in Li et al.'s code for Cityscapes; needs "
        "`flip` and two views.",
    )
    view_norm: Literal["together", "apart"] = Field(
        "apart",
        description="apart: each view is a batch of its own for the network's batch norms, and only view 1 changes "
        "their running statistics, so that a term without effect leaves the supervised training as it is; together: "
        "both views are one batch, as in the released code and Li et al.'s, which concatenate them.",
    )

    @model_validator(mode="after")
    def _flips_fit(self) -> Self:
        if self.flip_again and not (self.flip and self.views == 2):
            raise ValueError("flip_again: true needs flip: true and views: 2; set these, or flip_again to false")
        return self


class FixedWeights(Spec):
    """Constant weights of the supervised losses in their sum."""

    name: Literal["fixed"] = "fixed"
    semantic: Weight = Field(1.0, description="Of the cross-entropy.")
    depth: Weight = Field(1.0, description="Of the L1 loss.")
    normal: Weight = Field(1.0, description="Of the 1 - cosine.")


class UncertaintyWeights(Spec):
    """Weights from one learned log variance per task, all 0 at first (Kendall, Gal & Cipolla, CVPR 2018)."""

    name: Literal["uncertainty"] = "uncertainty"


TaskWeightsSpec = Annotated[FixedWeights | UncertaintyWeights, Field(discriminator="name")]


class ProbeSpec(Spec):
    """Probes during a training: what its cross-task term looks at, see docs/probe.md."""

    every: int = Field(1, ge=1, description="Epochs between two probes; the last epoch always has one.")
    images: int = Field(48, ge=1, description="Training images that are probed, with labels that are withheld.")


class PredictionsSpec(Spec):
    """Predictions that a run keeps, for figures: of some test images, after the last epoch."""

    images: Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=0)], ...] = Field(
        8, description="Number of test images, spread evenly over them; or their positions, counted from 0."
    )
    side: int = Field(256, ge=8, description="Largest height and width in pixels at which they are kept.")

    def positions(self, available: int) -> tuple[int, ...]:
        """Positions of the images among so many.

        Raises:
            UsageError: There are fewer.
        """
        if isinstance(self.images, int):
            wanted = min(self.images, available)
            return tuple(number * available // wanted for number in range(wanted))
        if max(self.images, default=0) >= available:
            raise UsageError(
                f"training.keep_predictions.images: {max(self.images)}, but there are {available} test images, "
                "counted from 0"
            )
        return tuple(dict.fromkeys(self.images))


@dataclass(frozen=True)
class TrainingLength:
    """The steps of a whole training, and how they divide into epochs.

    Steps and epochs are counted from 0. Every epoch ends with an evaluation; the last one may have fewer steps.
    """

    steps: int
    steps_per_epoch: int

    @property
    def epochs(self) -> int:
        """Number of epochs; an incomplete last one counts."""
        return -(-self.steps // self.steps_per_epoch)

    def end_of(self, epoch: int) -> int:
        """Number of steps from the beginning of the training to the end of an epoch."""
        return min((epoch + 1) * self.steps_per_epoch, self.steps)

    def steps_of(self, epoch: int) -> int:
        """Number of steps in an epoch."""
        return self.end_of(epoch) - epoch * self.steps_per_epoch

    def epochs_after(self, steps: int) -> int:
        """Number of epochs that have ended after this many steps."""
        return self.epochs if steps >= self.steps else steps // self.steps_per_epoch


class TrainingSpec(Spec):
    """Length, batches and the two parameter groups: the networks, and the FiLM parameters of a_theta."""

    epochs: int | None = Field(
        20, ge=1, le=10**6, description="Passes over the training images; null if `iterations` is given instead."
    )
    iterations: int | None = Field(
        None,
        ge=1,
        le=10**9,
        description="Number of optimiser steps, in place of `epochs`; the last epoch may be incomplete and ends with "
        "an evaluation.",
    )
    batch_size: int = Field(10, ge=1, le=10**6, description="Images per step over all processes.")
    last_batch: Literal["dropped", "kept"] = Field(
        "dropped",
        description="What happens at the end of an epoch to images that do not fill a batch: dropped, as in the "
        "released code and in Li et al.'s on NYU-V2; kept as a smaller batch, as in Li et al.'s on Cityscapes.",
    )
    network: NetworkGroup = NetworkGroup()
    film: FilmGroup = FilmGroup()
    weight_decay: Weight = Field(0.0, description="Adam's L2 penalty, for all parameters.")
    clip_norm: float | None = Field(
        None,
        gt=0,
        description="Largest norm of the gradient of all parameters together, or of each network of `single_task`; "
        "null: no clipping.",
    )
    augmentation: AugmentationSpec = AugmentationSpec()
    task_weights: TaskWeightsSpec = FixedWeights()
    stage_weight: Weight = Field(
        0.5,
        description="Weight of the supervised losses of predictions that the network itself refines, which only "
        "`diffusion` does; 0.5 as in DiffusionMTL's code.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: autocast, with float32 master weights."
    )

    keep_checkpoints: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (),
        description="Epochs, counted from 0, after which the weights are kept in checkpoints/epoch-N.pt. No part of "
        "the run's identity.",
    )
    probe: ProbeSpec | None = Field(
        None, description="Probes of the term after epochs; null: none. No part of the run's identity."
    )
    keep_predictions: PredictionsSpec | None = Field(
        None, description="Predictions to keep for figures; null: none. No part of the run's identity."
    )

    @model_validator(mode="before")
    @classmethod
    def _iterations_replace_the_default(cls, data: Any) -> Any:
        written = isinstance(data, Mapping) and data.get("iterations") is not None
        return {"epochs": None, **data} if written else data

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.epochs is not None and self.iterations is not None:
            raise ValueError(
                f"epochs is {self.epochs} and iterations {self.iterations}, but a training has one length; set the "
                "other to null (training.epochs=null or training.iterations=null)"
            )
        if self.epochs is None and self.iterations is None:
            raise ValueError("epochs and iterations are both null; set training.epochs or training.iterations")
        return self

    def batch_sizes(self, images: int) -> list[int]:
        """Sizes of the batches of an epoch over so many images; fewer images than a batch make one batch."""
        size = max(1, min(self.batch_size, images))
        left = images % size
        return [size] * (images // size) + ([left] if left and self.last_batch == "kept" else [])

    def length(self, images: int) -> TrainingLength:
        """The length of a training on so many images."""
        per_epoch = max(1, len(self.batch_sizes(images)))
        return TrainingLength(self.iterations or (self.epochs or 0) * per_epoch, per_epoch)
