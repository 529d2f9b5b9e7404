"""The board as text; `RDC_WRITE_GOLDENS=1 pytest tests/cli/test_board.py` writes the goldens anew, to be looked at."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from rdc_sweeps.cli.board import Board, changes
from rdc_sweeps.monitoring.groups import RunGroup
from rdc_sweeps.monitoring.views import RunView, ShownState, Subject, Waiting
from rdc_sweeps.runs.records import Status

GOLDENS = Path(__file__).parent / "goldens"
WIDTHS = (40, 80, 120, 160)


def status(step: int, *, rate: float | None = 2.0, **values: object) -> Status:
    """A heartbeat of a run of 1580 steps in 20 epochs."""
    return Status.model_validate(
        {
            "state": "training",
            "host": "node07",
            "process": 4711,
            "time": 0.0,
            "epoch": step // 79,
            "epochs": 20,
            "step": step,
            "steps": 1580,
            "rate": rate,
            "device": "NVIDIA A100-SXM4-80GB",
            **values,
        }
    )


def view(row: str, state: ShownState, seen: Status | None = None, seed: int = 0, **known: object) -> RunView:
    subject = Subject(f"{row}-{seed}", "table3", row, "paper", seed, steps=1580)
    return RunView(subject, state, seen, **known)  # type: ignore[arg-type]


METRICS = {"mIoU": 41.234, "aErr": 0.51234, "mErr": 27.5, "mErr_released": 9.1}
LOST = "DivergenceError: the loss is nan at step 812 of the training; lower training.network.learning_rate"


def table() -> list[RunGroup]:
    """Every state; long names; a run that has just begun."""
    views = [
        view("one-patch-vector", "done", status(1580, metrics=METRICS)),
        view("one-patch-pixel", "running", status(790, metrics=METRICS, values={"loss": 1.2345}, job="123_4")),
        view("one-patch-pixel", "running", status(0, rate=None, state="starting", steps=0, epochs=0), seed=1),
        view("one-patch-gaussian", "queued", waiting=Waiting("123_5", "Priority")),
        view("one-region-vector", "queued", status(400, job="122_0"), waiting=Waiting("122_0", "BeginTime")),
        view("one-region-pixel", "preempted", status(1579, metrics={"mIoU": None})),
        view("one-region-gaussian", "failed", status(812, metrics=METRICS), cause=LOST),
        view("rand-patch-vector", "cancelled", status(79), cause="by ada on login1"),
        view("rand-patch-pixel", "pruned", status(158), cause="median of 7 trials"),
        view("rand-region-gaussian", "planned"),
    ]
    return [RunGroup("table3 under profile paper", views)]


def studies() -> list[RunGroup]:
    """Groups of a runs folder: names without seeds, and runs that are only counted."""
    trials = [
        RunView(Subject(f"{number}", "table3", "r", "cpu", None, "tau", number), "running", status(79 * number))
        for number in (3, 12)
    ]
    return [RunGroup("study tau", trials), RunGroup("table1 under profile cpu", [], {"done": 10_000})]


def text(board: Board, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None, legacy_windows=False).print(board)
    return "".join(line.rstrip() + "\n" for line in file.getvalue().splitlines())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("groups", [table, studies])
def test_boards_are_as_they_were(groups: object, width: int) -> None:
    golden = GOLDENS / f"{groups.__name__}.{width}.txt"  # type: ignore[attr-defined]
    shown = text(Board(groups()), width)  # type: ignore[operator]
    if os.environ.get("RDC_WRITE_GOLDENS"):
        golden.write_text(shown)
    assert shown == golden.read_text()


@pytest.mark.parametrize("width", range(30, 200, 7))
def test_no_line_is_wider_than_the_terminal_and_no_run_is_lost(width: int) -> None:
    shown = text(Board(table()), width)
    assert max(map(len, shown.splitlines())) <= width
    assert "10 runs" in shown
    assert "…" not in shown
    if width > 50:
        assert shown.count("one-patch-pixel") == 2


def test_where_there_is_no_room_the_urgent_stay_and_the_others_are_counted() -> None:
    shown = text(Board(table(), lines=8), 120)
    assert len(shown.splitlines()) <= 8
    assert "1 done" in shown
    assert "one-patch-pixel" in shown
    assert "one-patch-vector" not in shown
    assert text(Board(table(), lines=100), 120) == text(Board(table()), 120)


def test_colours_are_left_out_where_they_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    Console(file=file, width=80, force_terminal=True).print(Board(table()))
    assert "\x1b[3" not in file.getvalue()


def test_the_time_left_counts_running_and_queued_runs() -> None:
    (group,) = table()
    # 395 s for what runs, 790 s and 590 s for what waits, one at a time.
    assert group.seconds_left == pytest.approx(395 + 790 + 590)
    assert RunGroup("", []).seconds_left is None


def test_changes_are_told_once() -> None:
    told: dict[str, tuple[str, int]] = {}
    (group,) = table()
    lines = changes(group.views, told)
    assert lines[0] == "table3/one-patch-vector seed 0: done, epoch 20 of 20, mIoU 41.23, aErr 0.5123, mErr 27.50"
    assert lines[6] == f"table3/one-region-gaussian seed 0: failed, epoch 10 of 20: {LOST}"
    assert changes(group.views, told) == []
    assert len(changes([view("one-patch-pixel", "running", status(869))], told)) == 1
