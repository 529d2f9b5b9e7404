"""Groups of runs: the rows x seeds of a table, or all runs of a table or study in a runs folder."""

import os
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from rdc_sweeps.monitoring.views import (
    Queue,
    RunView,
    Subject,
    Waiting,
    inspect,
    seed_of,
    subject_of,
    subject_of_directory,
)
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.states import STARTABLE_STATES
from rdc_sweeps.specs.catalogue import Run

READERS = 16
"""Number of directories read at the same time: on a shared disk, most of the time is spent waiting."""

URGENCY = ("running", "damaged", "failed", "preempted", "queued", "cancelled", "pruned", "planned", "done")
"""States from the most to the least urgent to show."""


@dataclass(frozen=True)
class RunGroup:
    """Runs under one heading."""

    title: str
    views: Sequence[RunView]
    """The runs that are shown, in order."""
    more: Mapping[str, int] = field(default_factory=dict)
    """Number of further runs in each state, which are not shown."""

    @property
    def counts(self) -> Counter[str]:
        """Runs by state."""
        return Counter(view.state for view in self.views) + Counter(self.more)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until running and queued runs are done, with as many at once as now; None if none is running."""
        running = [view for view in self.views if view.seconds_left is not None and view.status is not None]
        if not running:
            return None
        left = [view.seconds_left or 0.0 for view in running]
        seconds_per_step = sum(1 / view.status.rate for view in running if view.status and view.status.rate) / len(left)
        usual = sum(view.status.steps for view in running if view.status) / len(left)
        queued = 0.0
        for view in self.views:
            if view.state == "queued":
                taken = view.status.step if view.status else 0
                queued += max(0.0, (view.subject.steps or usual) - taken) * seconds_per_step
        return max(*left, (sum(left) + queued) / len(left))


def table_group(runs: Sequence[Run], views: Sequence[RunView]) -> RunGroup:
    """The rows x seeds of one table, under its name."""
    return RunGroup(table_title(runs), views)


def table_title(runs: Sequence[Run]) -> str:
    """The name of a table's runs: table, profile and changes."""
    return " ".join((f"{runs[0].table.table} under profile {runs[0].profile.profile}", *runs[0].changes))


def shortened(groups: Sequence[RunGroup], runs: int) -> list[RunGroup]:
    """The groups with only the most urgent runs; the others are counted.

    Args:
        groups: All groups.
        runs: Number of runs to show, over all groups.
    """
    ranked = sorted(
        (URGENCY.index(view.state), number, place)
        for number, group in enumerate(groups)
        for place, view in enumerate(group.views)
    )
    kept = {(number, place) for _, number, place in ranked[:runs]}
    short = []
    for number, group in enumerate(groups):
        shown = [view for place, view in enumerate(group.views) if (number, place) in kept]
        more = group.counts
        more.subtract(view.state for view in shown)
        short.append(replace(group, views=shown, more=+more))
    return short


class LocalSweep:
    """The runs of a sweep on this machine; those that it has not started yet are shown as queued."""

    def __init__(self, runs: Sequence[Run], root: Path) -> None:
        self.runs, self.root = runs, root
        self._subjects = [subject_of(run) for run in runs]
        self._started = time.time()
        self._done: dict[str, RunView] = {}

    def group(self) -> RunGroup:
        """The runs at this moment."""
        return table_group(self.runs, [self._view(subject) for subject in self._subjects])

    def _view(self, subject: Subject) -> RunView:
        if subject.run in self._done:
            return self._done[subject.run]
        view = inspect(subject, self.root, {})
        if view.state in STARTABLE_STATES and (view.status is None or view.status.time < self._started):
            view = inspect(subject, self.root, {subject.run: Waiting()})
        if view.state == "done":
            self._done[subject.run] = view
        return view


class RunsFolder:
    """A runs folder that is read repeatedly: what cannot change is read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._subjects: dict[str, Subject] = {}
        self._shown: set[str] = set()
        self._done: set[str] = set()

    def subjects(self) -> list[Subject]:
        """Every run that has a directory."""
        try:
            found = [entry.name for entry in os.scandir(self.root) if _is_run(entry)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(self._subject, sorted(found)))

    def groups(self, queue: Queue, *, study: str | None = None) -> list[RunGroup]:
        """The runs by table and profile, or by study.

        Done runs are only counted, unless they were not done at an earlier call.

        Args:
            queue: Runs that wait in the queue of the batch system.
            study: Only this study, with its done runs.
        """
        subjects = self.subjects()
        with ThreadPoolExecutor(READERS) as readers:
            chosen = [one for one in subjects if study is None or one.study == study]
            views = list(readers.map(lambda one: self._inspect(one, queue, shows_done=study is not None), chosen))
        members: dict[str, list[RunView]] = {}
        for view in views:
            members.setdefault(_heading(view.subject), []).append(view)
        return [self._group(title, members[title]) for title in sorted(members)]

    def _subject(self, run: str) -> Subject:
        if run not in self._subjects:
            self._subjects[run] = subject_of_directory(self.root, run)
        return self._subjects[run]

    def _inspect(self, subject: Subject, queue: Queue, *, shows_done: bool) -> RunView:
        hides_done = not shows_done and subject.run not in self._shown
        if hides_done and self._is_done(subject.run):
            return RunView(subject, "done")
        self._shown.add(subject.run)
        if subject.seed is None:
            subject = replace(subject, seed=seed_of(RunDirectory(self.root, subject.run)))
            self._subjects[subject.run] = subject
        return inspect(subject, self.root, queue)

    def _is_done(self, run: str) -> bool:
        if run not in self._done and os.path.exists(f"{self.root}/{run}/result.json"):  # noqa: PTH110 (no new objects)
            try:
                if RunDirectory(self.root, run).state() == "done":
                    self._done.add(run)
            except OSError:
                return False
        return run in self._done

    def _group(self, title: str, views: Sequence[RunView]) -> RunGroup:
        shown = [view for view in views if view.subject.run in self._shown]
        shown.sort(key=_place)
        hidden = len(views) - len(shown)
        return RunGroup(title, shown, {"done": hidden} if hidden else {})


def _is_run(entry: "os.DirEntry[str]") -> bool:
    try:
        return re.fullmatch(r"[0-9a-f]{16}", entry.name) is not None and entry.is_dir()
    except OSError:
        # A loop of links, for example.
        return False


def _heading(subject: Subject) -> str:
    if subject.study is not None:
        return f"study {subject.study}"
    return f"{subject.table} under profile {subject.profile}" if subject.table else "of no table"


def _place(view: RunView) -> tuple[int, str, int]:
    """The position of a run in its group; the baseline of a study comes before the trials."""
    subject = view.subject
    return (-1 if subject.trial is None else subject.trial, subject.row, subject.seed or 0)
