"""Optimisation: epochs, learning rates, schedules and augmentation."""

from typing import Annotated, Literal

from pydantic import Field

from rdc_sweeps.specs.base import Spec


class ConstantSchedule(Spec):
    """A constant learning rate."""

    name: Literal["constant"] = "constant"


class StepSchedule(Spec):
    """The learning rate is multiplied by `factor` every `period` epochs."""

    name: Literal["step"] = "step"
    period: int = Field(10, ge=1)
    factor: float = Field(0.5, gt=0, le=1)


class CosineRestartsSchedule(Spec):
    """Cosine annealing with warm restarts (Loshchilov & Hutter 2017), per epoch."""

    name: Literal["cosine_restarts"] = "cosine_restarts"
    period: int = Field(10, ge=1, description="T_0, in epochs.")
    minimum: float = Field(1e-6, ge=0)


class CosineSchedule(Spec):
    """Cosine annealing to `minimum` over the whole training, per epoch."""

    name: Literal["cosine"] = "cosine"
    minimum: float = Field(1e-6, ge=0)


ScheduleSpec = Annotated[
    ConstantSchedule | StepSchedule | CosineRestartsSchedule | CosineSchedule, Field(discriminator="name")
]


class NetworkGroup(Spec):
    """Adam's parameter group for the networks: all parameters except a_theta's FiLM parameters."""

    learning_rate: float = Field(5e-4, gt=0)
    schedule: ScheduleSpec = CosineRestartsSchedule()


class FilmGroup(Spec):
    """Adam's parameter group for a_theta's FiLM scales and shifts."""

    learning_rate: float = Field(1e-3, gt=0)
    schedule: ScheduleSpec = StepSchedule()


class AugmentationSpec(Spec):
    """Random scale crops: view 1 feeds the supervised losses, view 2 (a crop of view 1) the cross-task loss."""

    scales: tuple[float, ...] = Field((1.0, 1.2, 1.5), min_length=1, description="Zooms, each at least 1.")
    views: Literal[1, 2] = Field(2, description="2: the cross-task loss sees a crop of view 1; 1: view 1 itself.")
    flip: bool = Field(False, description="Horizontal flips with probability 1/2.")
    view_norm: Literal["together", "apart"] = Field(
        "together",
        description="together: the network's batch norms see both views as one batch, as in the released code and Li "
        "et al.'s, which concatenate the views; apart: each view is a batch of its own.",
    )


class FixedWeights(Spec):
    """Constant weights of the supervised losses in their sum."""

    name: Literal["fixed"] = "fixed"
    semantic: float = Field(1.0, ge=0)
    depth: float = Field(1.0, ge=0)
    normal: float = Field(1.0, ge=0)


class UncertaintyWeights(Spec):
    """Weights from one learned log variance per task, all 0 at first (Kendall, Gal & Cipolla, CVPR 2018)."""

    name: Literal["uncertainty"] = "uncertainty"


TaskWeightsSpec = Annotated[FixedWeights | UncertaintyWeights, Field(discriminator="name")]


class TrainingSpec(Spec):
    """Epochs, batches and the two parameter groups: the networks, and the FiLM parameters of a_theta."""

    epochs: int = Field(20, ge=1)
    batch_size: int = Field(
        10, ge=1, description="Images per step over all processes; an incomplete last batch is dropped."
    )
    network: NetworkGroup = NetworkGroup()
    film: FilmGroup = FilmGroup()
    augmentation: AugmentationSpec = AugmentationSpec()
    task_weights: TaskWeightsSpec = FixedWeights()
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: autocast, with float32 master weights."
    )
