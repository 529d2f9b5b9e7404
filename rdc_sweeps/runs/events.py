"""The event log of a run: everything its training reported, in order, one JSON object per line.

    {"sequence": 7, "kind": "step", "step": 5, "epoch": 1, "values": {"loss": 0.25}, "checksum": "9c1f03aa"}

| kind   | besides `sequence`, `kind`, `step` and `checksum`                                     |
|--------|---------------------------------------------------------------------------------------|
| step   | epoch; values: losses, diagnostics, learning rates                                    |
| panels | epoch; panels: image files, relative to the run's folder, by title                    |
| epoch  | epoch; record: mean losses, test and validation metrics; the last line of its epoch   |
| end    | state: how the worker ended; only as the last line                                    |

`sequence` counts the lines from 0. `checksum` is the CRC-32 of all bytes of the line before it, so any damaged byte is
detected. Nothing in a line depends on the clock or the machine: a run that was killed and resumed ends with the same
log as one that was not.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

from rdc_sweeps.errors import EventLogError
from rdc_sweeps.files import open_file, read_file
from rdc_sweeps.seals import seal_line, unseal_line

Event = dict[str, Any]
"""A line of the log, without its checksum."""

_TAIL_BYTES = 2**14
_REMEDY = "restore the file from a backup, or train the run from the beginning with --rerun"


def encode(event: Mapping[str, Any], sequence: int) -> bytes:
    """Encode an event as a line of the log."""
    return seal_line(json.dumps({"sequence": sequence, **event}).encode())


def decode(line: bytes, sequence: int) -> Event:
    """Decode a line of the log.

    Raises:
        ValueError: The line is damaged, or its sequence number is not `sequence`.
    """
    try:
        event: Event = json.loads(unseal_line(line))
    except ValueError as error:
        raise ValueError(f"is damaged: {error}") from error
    if event["sequence"] != sequence:
        raise ValueError(f"has sequence number {event['sequence']} instead of {sequence}")
    return event


class EventReader:
    """Reads a log as it grows. If a resumed run replaces the log, reading starts again from its beginning.

    Args:
        path: The log; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Kept open, so that the inode of a replaced log cannot be reused meanwhile.
        self._file: IO[bytes] | None = None
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self) -> Iterator[Event]:
        """The events since the last call. A line that is still being written is left for the next call.

        Raises:
            EventLogError: A line is damaged.
        """
        self._open()
        if self._file is None:
            return
        while True:
            start = self._file.tell()
            line = self._file.readline()
            if not line.endswith(b"\n"):
                self._file.seek(start)
                return
            try:
                event = decode(line, self._sequence)
            except ValueError as error:
                self._file.seek(start)
                raise EventLogError(f"{self.path}: line {self._sequence + 1} {error}; {_REMEDY}") from error
            self._sequence += 1
            yield event

    def _open(self) -> None:
        try:
            if self._file is not None and os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                return
            file = open_file(self.path)
        except FileNotFoundError:
            return
        self.close()
        self._file, self._sequence = file, 0


def read_events(path: Path) -> Iterator[Event]:
    """The events written so far; none if there is no log.

    Raises:
        EventLogError: A line is damaged.
    """
    with EventReader(path) as reader:
        yield from reader.read()


def last_event(path: Path) -> Event | None:
    """The last complete event, read from the end of the file; None if it is missing or damaged."""
    line = next(_lines_backwards(path), None)
    return None if line is None else _unnumbered(line)


def last_events(path: Path, kinds: Collection[str]) -> dict[str, Event]:
    """The last undamaged event of each of these kinds that has one, read from the end of the file."""
    found: dict[str, Event] = {}
    for line in _lines_backwards(path):
        kind = next((kind for kind in kinds if f'"kind": "{kind}"'.encode() in line), None)
        if kind is not None and kind not in found and (event := _unnumbered(line)) is not None:
            found[kind] = event
            if len(found) == len(kinds):
                break
    return found


def _lines_backwards(path: Path) -> Iterator[bytes]:
    """The complete lines of a log, the last one first."""
    try:
        with open_file(path) as file:
            place = file.seek(0, os.SEEK_END)
            # What was read of a line that begins further ahead; at first, of a line that is still being written.
            begun, ended = b"", False
            while place:
                length = min(place, _TAIL_BYTES)
                place -= length
                file.seek(place)
                *complete, last = (file.read(length) + begun).split(b"\n")[::-1]
                for line in complete:
                    if ended:
                        yield line + b"\n"
                    ended = True
                begun = last
            if begun and ended:
                yield begun + b"\n"
    except FileNotFoundError:
        pass  # training has not started


def _unnumbered(line: bytes) -> Event | None:
    try:
        sequence = int(json.loads(line)["sequence"])
        return decode(line, sequence)
    except (ValueError, KeyError, TypeError):
        return None


def verified_lines(path: Path, step: int, epoch: int) -> list[bytes]:
    """The lines to keep when a run resumes at `step`: those of all earlier steps and epochs, verified.

    Later lines are ignored, even if a killed worker left an incomplete one.

    Args:
        path: The log; it may be missing if `step` is 0.
        step: Number of steps completed at the checkpoint.
        epoch: Number of epochs completed at the checkpoint.

    Raises:
        EventLogError: A line of an earlier step or epoch is damaged, missing or out of order.
    """
    try:
        # Not `splitlines`, which also splits at carriage returns.
        lines = [line + b"\n" for line in read_file(path).split(b"\n")[:-1]]
        problem = f"it ends after line {len(lines)}"
    except FileNotFoundError:
        lines, problem = [], "there is no such file"
        if step and path.with_name(FORMER_LOG).exists():
            problem += f" ({FORMER_LOG} was written by an earlier version, which can finish the run)"
    kept: list[bytes] = []
    steps = epochs = 0
    for line in lines:
        try:
            event = decode(line, len(kept))
        except ValueError as error:
            problem = f"line {len(kept) + 1} {error}"
            break
        if event["kind"] == "end" or event["step"] >= step:
            problem = f"line {len(kept) + 1} already belongs to step {event['step']}"
            break
        expected = {"step": ("step", steps), "epoch": ("epoch", epochs)}.get(event["kind"])
        if expected is not None and event[expected[0]] != expected[1]:
            problem = f"line {len(kept) + 1} is {expected[0]} {event[expected[0]]} instead of {expected[1]}"
            break
        steps += event["kind"] == "step"
        epochs += event["kind"] == "epoch"
        kept.append(line)
    if steps < step or epochs < epoch:
        raise EventLogError(
            f"{path}: {problem}, but the checkpoint is at step {step}, so the log must contain all events before it; "
            f"{_REMEDY}"
        )
    return kept


FORMER_LOG = "metrics.jsonl"
"""The log file that version 1 wrote."""
