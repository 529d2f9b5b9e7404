"""The live board of a sweep, read from the run directories: a table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rdc_sweeps.cli.console import messages
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Status
from rdc_sweeps.specs.catalogue import Run

REFRESH_SECONDS = 0.5
STYLES = {"starting": "cyan", "training": "cyan", "preempted": "yellow", "failed": "red", "done": "green"}


@dataclass
class Line:
    """A run and its last heartbeat."""

    run: Run
    directory: RunDirectory
    status: Status | None = None


@contextmanager
def board(runs: Sequence[Run], root: Path) -> Iterator[Callable[[], None]]:
    """A function that looks at the run directories and shows what changed, at most twice a second."""
    lines = [Line(run, RunDirectory(root, run.id), RunDirectory(root, run.id).status()) for run in runs]
    begun = time.time()
    # Heartbeats of an earlier sweep are not news of this one.
    for line in lines:
        if line.status and line.status.time < begun:
            line.status = None
    if messages.is_terminal:
        with Live(console=messages, auto_refresh=False) as live:

            def show() -> None:
                _refresh(lines, begun)
                live.update(render(lines), refresh=True)

            yield _throttled(show)
            show()
    else:
        shown: dict[str, tuple[str, int]] = {}
        yield _throttled(lambda: _print_changes(lines, shown, begun))
        _print_changes(lines, shown, begun)


def _throttled(look: Callable[[], object]) -> Callable[[], None]:
    last = 0.0

    def watch() -> None:
        nonlocal last
        if time.monotonic() - last >= REFRESH_SECONDS:
            look()
            last = time.monotonic()

    return watch


def _refresh(lines: Sequence[Line], begun: float) -> None:
    for line in lines:
        status = line.directory.status()
        if status is not None and status.time >= begun:
            line.status = status


def _print_changes(lines: Sequence[Line], shown: dict[str, tuple[str, int]], begun: float) -> None:
    _refresh(lines, begun)
    for line in lines:
        status = line.status
        if status is None or shown.get(line.run.id) == (status.state, status.epoch):
            continue
        shown[line.run.id] = (status.state, status.epoch)
        if status.state != "starting":
            metrics = _numbers(status)
            messages.print(
                f"{line.run.title}: {status.state}, epoch {status.epoch} of {status.epochs}"
                + (f", {metrics}" if metrics else ""),
                highlight=False,
                markup=False,
            )


def render(lines: Sequence[Line]) -> RenderableType:
    """The board: a line per run with state, progress, time left, loss and last test metrics."""
    table = Table(box=None, pad_edge=False)
    for column in ("run", "state", "", "epoch", "left", "loss", "test"):
        table.add_column(column, justify="right" if column in {"epoch", "left", "loss"} else "left", no_wrap=True)
    for line in lines:
        status = line.status
        if status is None:
            table.add_row(line.run.title, Text("waiting", style="dim"))
            continue
        steps = max(status.steps, 1)
        bar = ProgressBar(total=steps, completed=min(status.step, steps), width=16)
        loss = status.values.get("loss")
        table.add_row(
            line.run.title,
            Text(status.state, style=STYLES[status.state]),
            bar,
            f"{status.epoch}/{status.epochs}",
            _left(status),
            "" if loss is None else f"{loss:.3f}",
            _numbers(status),
        )
    done = sum(line.status is not None and line.status.state == "done" for line in lines)
    return Group(table, Text(f"{done} of {len(lines)} done", style="dim"))


def _left(status: Status) -> str:
    if status.state != "training" or not status.rate:
        return ""
    seconds = int((status.steps - status.step) / status.rate)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _numbers(status: Status) -> str:
    shown = {"mIoU": ".2f", "aErr": ".4f", "mErr": ".2f"}
    found = ((name, status.metrics.get(name), form) for name, form in shown.items())
    return "  ".join(f"{name} {value:{form}}" for name, value, form in found if value is not None)
