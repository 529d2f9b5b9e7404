"""The W&B history of a run: its event log as one row per step."""

from dataclasses import dataclass, field
from typing import Any

from rdc_sweeps.runs.events import Event
from rdc_sweeps.runs.states import WorkerEnd


@dataclass
class HistoryRow:
    """Everything logged at one step; W&B stores it as one line of history."""

    step: int
    values: dict[str, float] = field(default_factory=dict)
    panels: dict[str, str] = field(default_factory=dict)
    """Image files, relative to the run's folder, by title."""
    epoch_keys: frozenset[str] = frozenset()
    """Keys of `values` to plot over epochs."""


class History:
    """Collects events into rows.

    A row is complete once an event of a later step has arrived, or the run is done: until then a resumed run may still
    add to it, and W&B accepts each step only once.

    Attributes:
        pending: The row that is not yet complete.
        ended: How the log's last worker ended: done, failed or preempted; None if it is still working, or died.
        events: Number of events added.
    """

    def __init__(self) -> None:
        self.pending: HistoryRow | None = None
        self.ended: WorkerEnd | None = None
        self.events = 0

    def add(self, event: Event) -> HistoryRow | None:
        """Add one event and return the row that it completes, if any."""
        self.events = event["sequence"] + 1
        self.ended = event["state"] if event["kind"] == "end" else None
        if event["kind"] == "end" or (self.pending is not None and event["step"] < self.pending.step):
            # An earlier step: a resumed run truncated its log while it was being read.
            return None
        complete = None
        if self.pending is None or event["step"] > self.pending.step:
            complete, self.pending = self.pending, HistoryRow(event["step"])
        row = self.pending
        match event["kind"]:
            case "step":
                row.values.update(event["values"])
            case "panels":
                row.panels.update(event["panels"])
                row.values["epoch"] = event["epoch"]
            case "epoch":
                metrics = epoch_values(event["record"])
                row.values.update(metrics, epoch=event["epoch"])
                row.epoch_keys |= frozenset(metrics)
        return complete


def epoch_values(record: dict[str, Any]) -> dict[str, float]:
    """An epoch's record under its W&B names: `train/...`, `test/...`, `validation/...` and `probe/...`."""
    splits = {
        "train": record["losses"],
        "test": record["test"],
        "validation": record["validation"] or {},
        "probe": record.get("probe", {}),
    }
    return {
        f"{split}/{name}": value
        for split, values in splits.items()
        for name, value in values.items()
        if value is not None
    }
