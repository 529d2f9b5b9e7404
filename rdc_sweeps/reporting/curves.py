"""The epochs of rows and runs: losses and metrics, read from their records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rdc_sweeps.metrics.metric import MAIN_METRICS
from rdc_sweeps.reporting.sides import Side
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events

LOSS = "loss"
"""Name of the curve of the mean training loss."""


@dataclass(frozen=True)
class Curves:
    """The epochs of a side: by name (`loss`, or a metric on the test images) and seed, a value or NaN per epoch."""

    name: str
    values: Mapping[str, Mapping[int, Sequence[float]]]


def curves_of(side: Side) -> Curves:
    """The curves of a side's runs, up to the epochs that they have finished.

    Raises:
        DamagedError: A result is damaged.
        EventLogError: An event log is damaged.
    """
    found: dict[str, dict[int, list[float]]] = {}
    for seed, directory in side.runs.items():
        for record in _epochs(directory):
            values = [
                (LOSS, record["losses"].get("loss")),
                *((name, record["test"].get(name)) for name in MAIN_METRICS),
            ]
            for name, value in values:
                found.setdefault(name, {}).setdefault(seed, []).append(np.nan if value is None else float(value))
    whole = {name: seeds for name, seeds in found.items() if not np.isnan(np.concatenate([*seeds.values()])).all()}
    return Curves(side.name, whole)


def _epochs(directory: RunDirectory) -> Sequence[Mapping[str, Mapping[str, float | None]]]:
    result = directory.result()
    if result is not None and result.history:
        return result.history  # type: ignore[return-value]
    return [event["record"] for event in read_events(directory.events) if event["kind"] == "epoch"]
