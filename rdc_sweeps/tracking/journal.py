"""The journal of a run: every tracked event as a JSON line in the run directory, written before W&B sees it.

W&B receives what the journal holds and never the reverse, so an outage, a kill or a missing key delays events but loses
none, and a later session can send exactly what the server does not have yet.

A resumed run goes through the steps after its last checkpoint once more; what was told of them before is struck out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

JOURNAL = "journal.jsonl"

State = Literal["done", "failed", "preempted"]
"""How a session of a run ended."""

Event = dict[str, Any]
"""A line of the journal: `kind` (step, epoch, panels, summary or finish) and what belongs to it."""


class Journal:
    """The writing end, for one session of a run.

    Args:
        folder: The `wandb` folder of the run.
        first_step: The step that this session begins with: events from there on are struck out. None keeps them all.

    Attributes:
        start: Offset in bytes at which this session's lines begin.
    """

    def __init__(self, folder: Path, first_step: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._last: dict[str, int] = {}
        self.start = 0
        path = folder / JOURNAL
        if path.exists():
            for event, end in read(path):
                if first_step is not None and event.get("step", -1) >= first_step:
                    break
                self._note(event)
                self.start = end
        self._file: IO[bytes] = path.open("ab")
        # A killed writer may leave half a line, which is not an event.
        self._file.truncate(self.start)

    def append(self, event: Event) -> bool:
        """Write one event, unless its kind was told for this step or a later one. Returns whether it was written."""
        if "step" in event and event["step"] <= self._last.get(event["kind"], -1):
            return False
        self._note(event)
        self._file.write(json.dumps(event).encode() + b"\n")
        self._file.flush()
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _note(self, event: Event) -> None:
        if "step" in event:
            self._last[event["kind"]] = event["step"]


def read(path: Path, start: int = 0) -> Iterator[tuple[Event, int]]:
    """The lines of a journal from a byte offset on, each with the offset at which it ends.

    A line that is incomplete or damaged (a killed writer, a crashed machine) ends the journal.
    """
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            try:
                event = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                return
            if event is None:
                return
            start += len(line)
            yield event, start


@dataclass
class Row:
    """Everything that was logged at one step; W&B stores it as one line of history."""

    step: int
    values: dict[str, float] = field(default_factory=dict)
    panels: dict[str, str] = field(default_factory=dict)
    """Image files, relative to the journal's folder, by title."""
    epoch_keys: frozenset[str] = frozenset()
    """Keys of `values` that belong on an epoch axis."""


class Rows:
    """Collects events into rows.

    A row is complete once a later step has been told, or the run is done: until then a resumed session may still add to
    it, and W&B takes each step only once.
    """

    def __init__(self) -> None:
        self.pending: Row | None = None
        self.summary: dict[str, Any] = {}

    def add(self, event: Event) -> Row | None:
        """Take in one event and return the row that it completes, if it does."""
        if event["kind"] == "summary":
            self.summary.update(event["values"])
            return None
        if "step" not in event or (self.pending is not None and event["step"] < self.pending.step):
            # An earlier step: a resumed session has cut the journal short while it was being read.
            return None
        complete = None
        if self.pending is None or event["step"] > self.pending.step:
            complete, self.pending = self.pending, Row(event["step"])
        row = self.pending
        row.values.update(event.get("values", {}))
        row.panels.update(event.get("panels", {}))
        if "epoch" in event:
            row.values["epoch"] = event["epoch"]
            row.epoch_keys |= frozenset(event.get("values", {}))
        return complete


def has_ended(path: Path) -> bool:
    """Whether the last event says how a session ended, and none has begun since."""
    return next((event["kind"] == "finish" for event, _ in reversed(list(read(path)))), False)


def last_step(events: Iterable[tuple[Mapping[str, Any], int]]) -> int:
    """The highest step among events, or -1."""
    return max((event["step"] for event, _ in events if "step" in event), default=-1)
