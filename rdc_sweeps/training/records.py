"""What a training records of an epoch."""

from pydantic import BaseModel, ConfigDict

from rdc_sweeps.metrics.metric import MetricValues


class EpochRecord(BaseModel):
    """One epoch: mean training losses, and metrics on the test and the held-out validation images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    losses: dict[str, float]
    test: MetricValues
    validation: MetricValues | None
