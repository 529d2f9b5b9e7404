"""The board as text; `RDC_WRITE_GOLDENS=1` rewrites the goldens; review the difference."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from rdc_sweeps.cli.board import Board
from tests.monitoring.boards import studies, table

GOLDENS = Path(__file__).parent / "goldens"
WIDTHS = (40, 80, 120, 160)


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


def test_without_enough_room_urgent_runs_are_shown_and_others_counted() -> None:
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
