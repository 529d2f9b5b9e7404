"""What is to be told of a sweep, from the directories of its runs."""

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rdc_sweeps.dispatch.slurm.queue import Job
from rdc_sweeps.errors import RdcError, UnavailableError
from rdc_sweeps.monitoring.groups import READERS, RunsFolder
from rdc_sweeps.monitoring.queueing import jobs_of
from rdc_sweeps.monitoring.views import RunView, inspect, seed_of, subject_of_directory
from rdc_sweeps.notifications.sweeps import Sweep
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.states import TERMINAL_STATES
from rdc_sweeps.settings import Occasion
from rdc_sweeps.texts import visible

MOVING = ("events.jsonl", "attempts.jsonl", "result.json", "failure.json", "stopped.json")
"""Files of a run that change when it moves. Heartbeats do not count: a worker that hangs still sends them."""

MOST_CAUSES = 10
"""Runs whose cause is told when a sweep has ended."""


@dataclass(frozen=True)
class Message:
    """One notification."""

    key: str
    """Identifies what happened; the same happening has the same key in every pass."""
    occasion: Occasion
    about: str
    """The sweep."""
    title: str
    text: str
    runs: tuple[str, ...] = ()
    """Ids of the runs that it is about."""

    def to_data(self) -> dict[str, Any]:
        """All fields as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Outlook:
    """A sweep at one moment."""

    messages: tuple[Message, ...]
    ended: bool
    """Whether nothing more is to be expected of it."""


def outlook(sweep: Sweep, root: Path, now: float, stalled_seconds: float) -> Outlook:
    """Read a sweep's runs, and what there is to tell of it.

    Args:
        sweep: The sweep.
        root: The runs folder.
        now: The time on the clock of the disk.
        stalled_seconds: After how many seconds without any step it has stalled.
    """
    ids = _runs_of(sweep, root)
    with ThreadPoolExecutor(READERS) as readers:
        views = list(readers.map(lambda run: _view(root, run), ids))
    found = [_failed(view, sweep, root) for view in views if view.state == "failed" and _is_new(view, sweep, root)]
    moved = _last_movement(root, ids, sweep.opened)
    ended, summary = _ending(sweep, root, views, begun=moved is not None)
    if ended:
        return Outlook((*found, _ended(sweep, root, views, summary)), ended=True)
    if moved is not None and now - moved > stalled_seconds and not _only_waits(sweep, root, views):
        found.append(_stalled(sweep, views, moved, now))
    return Outlook(tuple(found), ended=False)


def _runs_of(sweep: Sweep, root: Path) -> Sequence[str]:
    if sweep.study is None:
        return sweep.runs
    return [one.run for one in RunsFolder(root).subjects() if one.study == sweep.study]


def _view(root: Path, run: str) -> RunView:
    subject = subject_of_directory(root, run)
    view = inspect(subject, root, {})
    if view.state != "failed":
        return view
    return replace(view, subject=replace(subject, seed=seed_of(RunDirectory(root, run))))


def _changed(root: Path, run: str, name: str) -> float | None:
    try:
        return (root / run / name).stat().st_mtime
    except OSError:
        return None


def _is_new(view: RunView, sweep: Sweep, root: Path) -> bool:
    """Whether a run failed since the sweep began, and not in an earlier one that was known to have failed."""
    failed = _changed(root, view.subject.run, "failure.json")
    return failed is not None and failed >= sweep.opened


def _ending(sweep: Sweep, root: Path, views: Sequence[RunView], *, begun: bool) -> tuple[bool, str | None]:
    """Whether a sweep has ended, and what a study has found.

    A table has also ended if its command died after all runs had ended. Before anything has moved, failed runs may only
    wait for being tried again. What another process still trains, that one ends.
    """
    if any(view.state == "running" for view in views):
        return False, None
    if sweep.study is None:
        return sweep.ended or (begun and all(view.state in TERMINAL_STATES for view in views)), None
    finished, summary = _study(sweep.study, root) if sweep.ended or sweep.slurm else (False, None)
    return sweep.ended or finished, summary


def _study(name: str, root: Path) -> tuple[bool, str | None]:
    """Whether all trials of a study are finished, and a line about it."""
    try:
        from rdc_sweeps.tuning.study import load_study
        from rdc_sweeps.tuning.summary import summarise
        from rdc_sweeps.tuning.texts import objective_text

        summary = summarise(load_study(root, name))
    except (RdcError, ImportError, OSError):
        # Its storage is out of reach, or needs a password.
        return False, None
    line = f"{summary.finished} of {summary.asked} trials are finished"
    if summary.best is not None:
        line += f"; the best is trial {summary.best.number}, {summary.objective} "
        line += objective_text(summary.best.value, summary.objective)
    return summary.finished >= summary.asked, line


def _only_waits(sweep: Sweep, root: Path, views: Sequence[RunView]) -> bool:
    """Whether the sweep waits for Slurm to start its jobs, which may take long on a busy cluster."""
    if not sweep.slurm or any(view.state == "running" for view in views):
        return False
    try:
        jobs: Mapping[str, Job] = jobs_of(root)
    except UnavailableError:
        return True
    return any(view.subject.run in jobs for view in views)


def _last_movement(root: Path, runs: Sequence[str], since: float) -> float | None:
    """When a run last moved; None if none has since the sweep began: region maps may be computed first, for hours."""
    times = [moved for run in runs for name in MOVING if (moved := _changed(root, run, name)) is not None]
    latest = max(times, default=0.0)
    return latest if latest >= since else None


def _failed(view: RunView, sweep: Sweep, root: Path) -> Message:
    run = view.subject.run
    text = (
        f"{view.cause or 'the cause is unknown'}\nrdc-sweep logs {run}\nrdc-sweep run ... --retry-failed tries it again"
    )
    return _message("failed", sweep, f"{view.subject.title} failed", text, [run], _state(view, root))


def _ended(sweep: Sweep, root: Path, views: Sequence[RunView], summary: str | None) -> Message:
    counts = _counts(views)
    lines = [summary] if summary else []
    problems = [view for view in views if view.state != "done" and view.cause]
    lines += [f"{view.subject.title}: {view.state}: {view.cause}" for view in problems[:MOST_CAUSES]]
    if len(problems) > MOST_CAUSES:
        lines.append(f"and {len(problems) - MOST_CAUSES} more")
    lines.append(sweep.command)
    states = sorted(_state(view, root) for view in views)
    # One that has ended with unfinished runs ends again when it is continued.
    again = [] if all(view.state in TERMINAL_STATES for view in views) else [str(sweep.opened)]
    title = f"{sweep.about} has ended: {counts or 'no runs'}"
    return _message("ended", sweep, title, "\n".join(lines), [view.subject.run for view in views], *states, *again)


def _stalled(sweep: Sweep, views: Sequence[RunView], moved: float, now: float) -> Message:
    minutes = int((now - moved) / 60)
    left = [view for view in views if view.state not in TERMINAL_STATES]
    lines = [f"{_counts(views)}; last step or change at {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(moved))}"]
    lines.append(f"started on {sweep.host}; rdc-sweep status shows the runs, and `run` continues what nobody trains")
    title = f"{sweep.about}: nothing has moved for {minutes} minutes"
    return _message("stalled", sweep, title, "\n".join(lines), [view.subject.run for view in left], str(moved))


def _message(occasion: Occasion, sweep: Sweep, title: str, text: str, runs: Sequence[str], *what: str) -> Message:
    key = hashlib.sha256("\n".join((occasion, sweep.id if occasion != "failed" else sweep.user, *what)).encode())
    return Message(key.hexdigest()[:16], occasion, sweep.about, visible(title), visible(text), tuple(runs))


def _state(view: RunView, root: Path) -> str:
    """A run and how it ended; another failure of it is another state."""
    failure = RunDirectory(root, view.subject.run).failure() if view.state == "failed" else None
    return f"{view.subject.run} {view.state} {failure.time if failure else ''}"


def _counts(views: Sequence[RunView]) -> str:
    return ", ".join(f"{count} {state}" for state, count in Counter(view.state for view in views).most_common())
