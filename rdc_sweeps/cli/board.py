"""The board: a table of runs with state, progress, time left, host and metrics, fitted to the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS
from rdc_sweeps.monitoring.groups import RunGroup, shortened
from rdc_sweeps.monitoring.views import RunView
from rdc_sweeps.texts import NATURAL_WIDTH

STYLES = {
    "running": "cyan",
    "queued": "blue",
    "planned": "dim",
    "preempted": "yellow",
    "cancelled": "yellow",
    "pruned": "yellow",
    "damaged": "red",
    "failed": "red",
    "done": "green",
}
"""Colours of the states, in the order of the counts below a heading."""

FRAME_LINES = 4
"""Lines of a group in addition to its runs: heading, counts, column titles, blank line."""


@dataclass(frozen=True)
class BoardLayout:
    """Titles of the omitted columns; the progress bar's title is empty."""

    without: tuple[str, ...] = ()
    folded: bool = False
    """Whether long names wrap to the next line."""


LAYOUTS = (
    BoardLayout(),
    BoardLayout(("",)),
    BoardLayout(("", "loss")),
    BoardLayout(("", "loss", *MAIN_METRICS[1:])),
    BoardLayout(("", "loss", *MAIN_METRICS[1:], "device")),
    BoardLayout(("", "loss", *MAIN_METRICS[1:], "device", "node, job")),
    BoardLayout(("", "loss", *MAIN_METRICS, "device", "node, job", "epoch"), folded=True),
)
"""From the widest to the narrowest."""


@dataclass(frozen=True)
class Board:
    """A renderable that chooses its columns by the available width.

    Args:
        groups: The runs, in groups with a heading each.
        lines: Maximum number of lines; None for no limit.
    """

    groups: Sequence[RunGroup]
    lines: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the heading, counts, runs and failures of every group."""
        groups = self.groups if self.lines is None else shortened(self.groups, _room(self.groups, self.lines))
        natural = options.update(width=NATURAL_WIDTH)
        # All groups have the same columns.
        for layout in LAYOUTS:
            tables = [_table(group.views, layout) for group in groups if group.views]
            widths = [Measurement.get(console, natural, table).maximum for table in tables]
            if max(widths, default=0) <= options.max_width:
                break
        for index, group in enumerate(groups):
            if index:
                yield ""
            yield from _group(group, layout)


def _room(groups: Sequence[RunGroup], lines: int) -> int:
    """Number of runs that fit on a board of `lines` lines."""
    problems = sum(view.problem is not None for group in groups for view in group.views)
    return max(1, max(1, lines - FRAME_LINES * len(groups)) - problems)


def _group(group: RunGroup, layout: BoardLayout) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(group.title, style="bold"), _counts(group)]
    if group.views:
        parts.append(_table(group.views, layout))
    for view in group.views:
        if (problem := view.problem) is not None:
            sign, style = ("✗", "red") if view.state in {"failed", "damaged"} else ("!", "yellow")
            line = Table.grid(padding=(0, 1))
            line.add_row(Text(sign, style=style), Text(f"{_name(view)}: {problem}", style=style, overflow="fold"))
            parts.append(line)
    return [Group(*parts)]


def _counts(group: RunGroup) -> Text:
    counts = group.counts
    total = sum(counts.values())
    line = Text(f"{total} run{'s' if total != 1 else ''}: ")
    states = [Text(f"{counts[state]} {state}", style=style) for state, style in STYLES.items() if counts[state]]
    line.append_text(Text(", ").join(states))
    if (left := group.seconds_left) is not None:
        line.append(f"; about {_clock(left)} left")
    return line


def _table(views: Sequence[RunView], layout: BoardLayout) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    rows = [_cells(view, layout) for view in views]
    # Empty columns are omitted.
    for title in [title for title in rows[0] if any(row[title] for row in rows)]:
        left = title in {"run", "state", "", "device", "node, job"}
        # Long names wrap only as a last resort.
        folds = title == "run" and layout.folded
        table.add_column(title, justify="left" if left else "right", no_wrap=not folds, overflow="fold")
    for row in rows:
        table.add_row(*(row[str(column.header)] for column in table.columns))
    return table


def _cells(view: RunView, layout: BoardLayout) -> dict[str, RenderableType]:
    """The cell of each column, by title; empty if the value is unknown."""
    status, share, left = view.status, view.progress, view.seconds_left
    loss = status.values.get("loss") if status else None
    metrics = {name: status.metrics.get(name) if status else None for name in MAIN_METRICS}
    cells: dict[str, RenderableType] = {
        "run": Text(view.subject.name or view.subject.run),
        "seed": "" if view.subject.seed is None else str(view.subject.seed),
        "state": Text(view.state, style=STYLES[view.state]),
        "": "" if share is None else ProgressBar(total=1.0, completed=share, width=12),
        # Rounded down: only finished runs show 100.
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
    """The host and job of a run, or its pending job."""
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
