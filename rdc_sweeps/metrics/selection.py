"""Selection rules: which epoch of a run counts."""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeVar, get_args

from rdc_sweeps.metrics.delta import delta_m
from rdc_sweeps.metrics.metric import MAIN_METRICS, MetricValues

Selection = Literal["last", "best-validation", "best-test"]
"""Which epoch's test metrics a run reports."""

SELECTIONS: tuple[Selection, ...] = get_args(Selection)


class Epoch(Protocol):
    """An epoch that has been evaluated."""

    @property
    def test(self) -> MetricValues:
        """Metrics on the test images."""

    @property
    def validation(self) -> MetricValues | None:
        """Metrics on the held-out validation images, if there are any."""


E = TypeVar("E", bound=Epoch)


def select(history: Sequence[E], rule: Selection) -> E | None:
    """The epoch that a rule selects; None if it cannot select one, for lack of validation images.

    `last` is the last epoch. The others maximise the mean relative gain over the last epoch (Vandenhende et al. 2021,
    delta-m with the run itself as reference) of the main metrics on their split; of equal epochs the earliest counts.
    """
    if rule == "last":
        return history[-1]
    splits = [epoch.test if rule == "best-test" else epoch.validation for epoch in history]
    # There is no relative gain over a missing value or over zero.
    reference: dict[str, float] = {name: value for name in MAIN_METRICS if (value := (splits[-1] or {}).get(name))}
    if not reference:
        return None

    def gain(metrics: MetricValues | None) -> float:
        measured = {name: value for name in reference if (value := (metrics or {}).get(name)) is not None}
        return delta_m(measured, reference) if len(measured) == len(reference) else -float("inf")

    gains = [gain(metrics) for metrics in splits]
    return history[gains.index(max(gains))]
