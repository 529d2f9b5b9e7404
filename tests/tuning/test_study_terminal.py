"""Texts for a terminal against goldens; `RDC_WRITE_GOLDENS=1 pytest tests/tuning` writes them, to be looked at."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from rdc_sweeps.tuning.study_progress import StudyProgress
from rdc_sweeps.tuning.study_terminal import live_board, print_study, trial_line
from tests.tuning.studies import SUMMARIES, aligned, report_of, summary_of, tuned_row, usual, values_of

GOLDENS = Path(__file__).parent / "goldens"
WIDTHS = (80, 120)


def console(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)


def written(shown: Console) -> str:
    assert isinstance(shown.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in shown.file.getvalue().splitlines())


def compare(name: str, text: str) -> None:
    path = GOLDENS / name
    if os.environ.get("RDC_WRITE_GOLDENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["usual", "all_pruned", "single"])
def test_what_a_study_has_found(tmp_path: Path, name: str, width: int) -> None:
    tuned = tuned_row(tmp_path, title="An [bold]example[/bold]")
    shown = console(width)
    print_study(report_of(tuned, SUMMARIES[name](tuned), tmp_path / "runs"), shown, ["history.png", "report.html"])
    compare(f"{name}.{width}.txt", written(shown))


@pytest.mark.parametrize("width", WIDTHS)
def test_what_a_study_of_alignment_has_found(tmp_path: Path, width: int) -> None:
    shown = console(width)
    print_study(aligned(tmp_path), shown)
    compare(f"alignment.{width}.txt", written(shown))


def show(board: RenderableType, width: int) -> str:
    shown = console(width)
    shown.print(board)
    return written(shown)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_board_of_a_study_that_runs(tmp_path: Path, width: int) -> None:
    tuned = tuned_row(tmp_path)
    compare(f"board.{width}.txt", show(live_board(usual(tuned), StudyProgress(4, seconds_left=125.0)), width))
    waiting = StudyProgress(4, "first the baseline one-patch-vector seed 0: epoch 1 of 4")
    compare(f"board_baseline.{width}.txt", show(live_board(SUMMARIES["nothing"](tuned), waiting), width))


def test_a_board_shows_no_more_running_trials_than_there_is_room_for(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    many = summary_of(tuned, ["running"] * 9, values_of(tuned, 9), asked=20)
    assert show(live_board(many, StudyProgress(4), 3), 200).count("temperature") == 3
    assert show(live_board(many, StudyProgress(4)), 200).count("temperature") == 9


def test_what_is_to_be_copied_is_one_line_on_any_terminal(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    command = "rdc-sweep run table3 " + " ".join(f"--set method.contrast.field{number}=1" for number in range(9))
    shown = console(40)
    print_study(report_of(tuned, summary_of(tuned, ["complete"], [1.0], command=command), tmp_path), shown)
    assert f"  {command}" in written(shown).splitlines()


def test_lines_of_trials(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    found = usual(tuned)
    lines = {trial.phase: trial_line(trial, found) for trial in found.trials}
    assert lines["failed"] == "trial 6: failed: DivergenceError: loss = nan"
    assert lines["pruned"].startswith("trial 14: pruned after 1 epoch, ")
    assert trial_line(found.trials[0], found) == (
        f"trial 0: complete, {found.trials[0].value:+.2f} % (temperature 5.4, shrinkage 0.1, ridge 0.001)"
    )
