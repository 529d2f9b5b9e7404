"""The W&B history of a run: its event log as one row per step."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from rdc_sweeps.errors import EventLogError
from rdc_sweeps.runs.events import Event, last_events, read_events
from rdc_sweeps.runs.states import WorkerEnd
from rdc_sweeps.tracking.keys import EPOCH, Split, of_picture, of_split


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
                row.values[EPOCH] = event["epoch"]
            case "epoch":
                metrics = epoch_values(event["record"])
                row.values.update({**metrics, EPOCH: event["epoch"]})
                row.epoch_keys |= frozenset(metrics)
        return complete


def epoch_values(record: dict[str, Any]) -> dict[str, float]:
    """An epoch's record under its W&B names: `train/...`, `test/...`, `validation/...` and `probe/...`."""
    splits: dict[Split, dict[str, float | None]] = {
        "train": record["losses"],
        "test": record["test"],
        "validation": record["validation"] or {},
        "probe": record.get("probe", {}),
    }
    return {
        of_split(split, name): value
        for split, values in splits.items()
        for name, value in values.items()
        if value is not None
    }


FIRST_EVENTS = 50
"""Events from which `logged_keys` learns what is logged at every step; some values are missing from some steps."""


@dataclass
class LoggedKeys:
    """The keys that W&B gets from event logs, in the order of their first appearance.

    Attributes:
        steps: Of values that are logged at every step, such as losses.
        epochs: Of values that are logged once per epoch.
        pictures: Of prediction panels.
    """

    steps: dict[str, None] = field(default_factory=dict)
    epochs: dict[str, None] = field(default_factory=dict)
    pictures: dict[str, None] = field(default_factory=dict)


def logged_keys(logs: Iterable[Path]) -> LoggedKeys:
    """What the runs with these event logs have logged, from the beginning and the last epoch of each.

    Damaged logs add what can be read of them; no log, nothing.
    """
    found = LoggedKeys()
    for log in logs:
        history = History()
        # The last epoch stands before whatever has been logged of the next one.
        last = last_events(log, ("panels", "epoch"))
        for event in (*_first_events(log), *sorted(last.values(), key=lambda event: int(event["sequence"]))):
            history.add(event)
            row = history.pending
            if row is None or row.step != event["step"]:
                continue
            if event["kind"] == "step":
                found.steps.update(dict.fromkeys(event["values"]))
            found.epochs.update(dict.fromkeys(sorted(row.epoch_keys)))
            found.pictures.update(dict.fromkeys(map(of_picture, row.panels)))
    return found


def _first_events(log: Path) -> list[Event]:
    first: list[Event] = []
    # Those before a damaged line are known.
    with suppress(OSError, EventLogError):
        first.extend(islice(read_events(log), FIRST_EVENTS))
    return first
