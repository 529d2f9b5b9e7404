"""The board: runs with state, progress, time left, place and metrics, as wide as the terminal allows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS
from rdc_sweeps.monitoring.groups import RunGroup
from rdc_sweeps.monitoring.views import RunView

NATURAL_WIDTH = 1000
"""Wider than any board, to measure one."""

STYLES = {
    "running": "cyan",
    "queued": "blue",
    "planned": "dim",
    "preempted": "yellow",
    "cancelled": "yellow",
    "pruned": "yellow",
    "failed": "red",
    "done": "green",
}
"""In the order in which states are counted."""

URGENCY = ("running", "failed", "preempted", "queued", "cancelled", "pruned", "planned", "done")
"""Whose lines stay where there is no room for all."""

FRAME_LINES = 4
"""Lines of a group besides those of its runs: heading, counts, column titles, space."""


@dataclass(frozen=True)
class Layout:
    """Titles of the columns that are left out (the bar has none)."""

    without: tuple[str, ...] = ()
    folded: bool = False
    """Whether long names wrap into the next line."""


LAYOUTS = (
    Layout(),
    Layout(("",)),
    Layout(("", "loss")),
    Layout(("", "loss", *MAIN_METRICS[1:])),
    Layout(("", "loss", *MAIN_METRICS[1:], "device")),
    Layout(("", "loss", *MAIN_METRICS[1:], "device", "node, job")),
    Layout(("", "loss", *MAIN_METRICS, "device", "node, job", "epoch"), folded=True),
)
"""From the widest to the narrowest."""


@dataclass(frozen=True)
class Board:
    """A renderable that chooses its columns when it is given the width.

    Args:
        groups: What is shown, each under its heading.
        lines: Lines there is room for; None for any number.
    """

    groups: Sequence[RunGroup]
    lines: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Every group: heading, counts, runs, failures."""
        groups = self.groups if self.lines is None else _shortened(self.groups, self.lines)
        natural = options.update(width=NATURAL_WIDTH)
        # The same columns in all groups.
        for layout in LAYOUTS:
            tables = [_table(group.views, layout) for group in groups if group.views]
            widths = [Measurement.get(console, natural, table).maximum for table in tables]
            if max(widths, default=0) <= options.max_width:
                break
        for index, group in enumerate(groups):
            if index:
                yield ""
            yield from _group(group, layout)


def _group(group: RunGroup, layout: Layout) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(group.title, style="bold"), _counts(group)]
    if group.views:
        parts.append(_table(group.views, layout))
    for view in group.views:
        if (remark := _remark(view)) is not None:
            sign, style = ("✗", "red") if view.state == "failed" else ("!", "yellow")
            line = Table.grid(padding=(0, 1))
            line.add_row(Text(sign, style=style), Text(f"{_name(view)}: {remark}", style=style, overflow="fold"))
            parts.append(line)
    return [Group(*parts)]


def _remark(view: RunView) -> str | None:
    """The line about a run below the table: why it failed, or why no worker is training it."""
    if view.state == "failed":
        return view.cause or "unknown"
    return view.cause if view.state in {"preempted", "planned"} else None


def _counts(group: RunGroup) -> Text:
    counts = group.counts
    total = sum(counts.values())
    line = Text(f"{total} run{'s' if total != 1 else ''}: ")
    states = [Text(f"{counts[state]} {state}", style=style) for state, style in STYLES.items() if counts[state]]
    line.append_text(Text(", ").join(states))
    if (left := group.seconds_left) is not None:
        line.append(f"; about {_clock(left)} left")
    return line


def _table(views: Sequence[RunView], layout: Layout) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    rows = [_cells(view, layout) for view in views]
    # A column without anything in it is no column.
    for title in [title for title in rows[0] if any(row[title] for row in rows)]:
        left = title in {"run", "state", "", "device", "node, job"}
        # Where nothing else can yield, names are folded.
        folds = title == "run" and layout.folded
        table.add_column(title, justify="left" if left else "right", no_wrap=not folds, overflow="fold")
    for row in rows:
        table.add_row(*(row[str(column.header)] for column in table.columns))
    return table


def _cells(view: RunView, layout: Layout) -> dict[str, RenderableType]:
    """What stands under each title; empty texts where there is nothing to tell."""
    status, share, left = view.status, view.progress, view.seconds_left
    loss = status.values.get("loss") if status else None
    metrics = {name: status.metrics.get(name) if status else None for name in MAIN_METRICS}
    cells: dict[str, RenderableType] = {
        "run": Text(view.subject.name or view.subject.run),
        "seed": "" if view.subject.seed is None else str(view.subject.seed),
        "state": Text(view.state, style=STYLES[view.state]),
        "": "" if share is None else ProgressBar(total=1.0, completed=share, width=12),
        # Rounded down: only what is done is at 100.
        "%": "" if share is None else f"{int(100 * share)}",
        "epoch": f"{status.epoch}/{status.epochs}" if status and status.epochs else "",
        "left": "" if left is None else _clock(left),
        "loss": "" if loss is None else f"{loss:.3f}",
        **{name: "" if value is None else METRICS[name].text(value) for name, value in metrics.items()},
        "device": Text(status.device.removeprefix("NVIDIA ") if status and view.waiting is None else ""),
        "node, job": Text(_place(view)),
    }
    return {title: cell for title, cell in cells.items() if title not in layout.without}


def _place(view: RunView) -> str:
    """Where it is, or waits."""
    if view.waiting is not None:
        job = f"job {view.waiting.job}" if view.waiting.job else ""
        return f"{job} ({view.waiting.reason})" if job and view.waiting.reason else job
    if view.status is None or view.state == "done":
        return view.status.host if view.status else ""
    return f"{view.status.host}, {view.status.job}" if view.status.job else view.status.host


def _name(view: RunView) -> str:
    seed = view.subject.seed
    return (view.subject.name or view.subject.run) + ("" if seed is None else f" seed {seed}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _shortened(groups: Sequence[RunGroup], lines: int) -> list[RunGroup]:
    """As many runs as there is room for, the most urgent; the others are only counted."""
    room = max(1, lines - FRAME_LINES * len(groups))
    room -= sum(_remark(view) is not None for group in groups for view in group.views)
    ranked = sorted(
        (URGENCY.index(view.state), number, place)
        for number, group in enumerate(groups)
        for place, view in enumerate(group.views)
    )
    kept = {(number, place) for _, number, place in ranked[: max(1, room)]}
    short = []
    for number, group in enumerate(groups):
        shown = [view for place, view in enumerate(group.views) if (number, place) in kept]
        more = group.counts
        more.subtract(view.state for view in shown)
        short.append(replace(group, views=shown, more=+more))
    return short


def shown_state(view: RunView) -> tuple[str, int]:
    """State and epoch: a run is shown again when either has changed."""
    return view.state, view.status.epoch if view.status else 0


def changes(views: Sequence[RunView], shown: dict[str, tuple[str, int]]) -> list[str]:
    """A line for each run that differs from `shown`, which is updated."""
    lines = []
    for view in views:
        if shown.get(view.subject.run) == shown_state(view):
            continue
        shown[view.subject.run] = shown_state(view)
        status = view.status
        parts = [f"{view.subject.title}: {view.state}"]
        if status and status.epochs:
            parts.append(f"epoch {status.epoch} of {status.epochs}")
        if status and view.state in {"running", "done"}:
            found = ((name, status.metrics.get(name)) for name in MAIN_METRICS)
            parts += [f"{name} {METRICS[name].text(value)}" for name, value in found if value is not None]
        lines.append(", ".join(parts) + (f": {view.cause}" if view.cause else ""))
    return lines
