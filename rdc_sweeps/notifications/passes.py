"""A pass: sends whatever is due of the watched sweeps and was not yet sent. Any number of them may run at once."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, ValidationError

from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.files import read_file, try_lock, unlock, write_json
from rdc_sweeps.notifications.channels import Channel, channels
from rdc_sweeps.notifications.messages import Message, outlook
from rdc_sweeps.notifications.sweeps import Sweeps
from rdc_sweeps.runs.records import Record
from rdc_sweeps.settings import Notify

PAUSES = (60.0, 300.0, 1500.0, 7500.0)
"""Seconds before a channel that failed is tried again with the same message: an outage may last some hours."""

ATTEMPTS = len(PAUSES) + 1
"""How often a channel is tried with one message, in as many passes; the attempts are counted before they are made."""

PATIENCE_SECONDS = 60.0
"""How long a pass waits for another one to end."""


class Delivery(Record):
    """How one channel fared with a message."""

    attempts: int = 0
    tried: float = 0.0
    """When it was last tried, in seconds since 1970."""
    sent: float | None = None
    """When it was sent, in seconds since 1970."""
    problem: str | None = None

    @property
    def settled(self) -> bool:
        """Whether it is sent, or given up."""
        return self.sent is not None or self.attempts >= ATTEMPTS

    @property
    def pause(self) -> float:
        """Seconds until it may be tried again; 0 if the last attempt was cut short."""
        if self.problem is None or self.settled:
            return 0.0
        return max(0.0, self.tried + PAUSES[self.attempts - 1] - time.time())


class Sent(Record):
    """The record of a message."""

    occasion: str
    title: str
    channels: Mapping[str, Delivery] = Field(default_factory=dict)


@dataclass
class Pass:
    """What a pass has done.

    Attributes:
        sent: Titles of messages, with the channels that they were sent by.
        problems: What went wrong.
    """

    sent: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def notify(root: Path, settings: Notify) -> Pass:
    """Send what is due, once by each channel, and stop watching sweeps that have ended.

    Raises:
        UnavailableError: Another pass holds the lock for too long, or the disk has no locks.
    """
    done = Pass()
    sweeps = Sweeps(root)
    if not sweeps.folder.is_dir():
        return done
    with _lock(root) as now:
        for sweep in sweeps.own():
            found = outlook(sweep, root, now, settings.stalled_minutes * 60)
            due = [message for message in found.messages if message.occasion in settings.occasions]
            settled = [_deliver(message, root, settings, done) for message in due]
            if found.ended and all(settled):
                sweeps.close(sweep)
    return done


def disk_time(root: Path) -> float:
    """The time on the clock of the runs folder's disk, with which times of files are compared."""
    path = root / "notifications" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path.stat().st_mtime


def _deliver(message: Message, root: Path, settings: Notify, done: Pass) -> bool:
    """Send one message by the channels that have not yet; returns whether nothing is left to try."""
    path = root / "notifications" / "sent" / f"{message.key}.json"
    record = _read(path) or Sent(occasion=message.occasion, title=message.title)
    configured = channels(settings, root)
    for channel in configured:
        before = record.channels.get(channel.name, Delivery())
        if before.pause:
            minutes = -(-before.pause // 60)
            later = f"next attempt in {minutes:.0f} minutes at the earliest"
            done.problems.append(f"{message.title}: {channel.name}: {before.problem}; {later}")
        elif not before.settled:
            record = _attempt(channel, message, record, before, path, settings.timeout, done)
    return all(record.channels[channel.name].settled for channel in configured)


def _attempt(
    channel: Channel, message: Message, record: Sent, before: Delivery, path: Path, seconds: float, done: Pass
) -> Sent:
    def noted(delivery: Delivery) -> Sent:
        now = record.model_copy(update={"channels": {**record.channels, channel.name: delivery}})
        write_json(path, now.model_dump(mode="json"))
        return now

    trying = before.model_copy(update={"attempts": before.attempts + 1, "tried": time.time(), "problem": None})
    # Counted first: a message that kills its pass each time is given up at last.
    noted(trying)
    problem = channel.send(message, seconds)
    if problem is None:
        done.sent.append(f"{message.title} ({channel.name})")
        return noted(trying.model_copy(update={"sent": time.time()}))
    rest = ATTEMPTS - trying.attempts
    later = f"{rest} more attempts" if rest else "given up"
    done.problems.append(f"{message.title}: {channel.name}: {problem}; {later}")
    return noted(trying.model_copy(update={"problem": problem}))


def _read(path: Path) -> Sent | None:
    try:
        return Sent.model_validate_json(read_file(path))
    except (FileNotFoundError, ValidationError):
        return None


@contextmanager
def _lock(root: Path) -> Iterator[float]:
    """Hold the lock of the passes; yields the time on the clock of the disk."""
    path = root / "notifications" / "lock"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise UnavailableError(f"{path}: another pass has been sending for {PATIENCE_SECONDS:.0f} s")
        time.sleep(0.1)
    try:
        os.utime(path)
        yield path.stat().st_mtime
    finally:
        unlock(descriptor)
