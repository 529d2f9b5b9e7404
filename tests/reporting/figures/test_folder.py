"""Figures as files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdc_sweeps.errors import UsageError
from rdc_sweeps.reporting.curves import curves_of
from rdc_sweeps.reporting.figures.choice import ImageChoice
from rdc_sweeps.reporting.figures.folder import FigureChoice, chosen_images, write_figures
from rdc_sweeps.reporting.figures.predictions import error_map
from rdc_sweeps.reporting.figures.style import name_lines
from rdc_sweeps.reporting.image_source import ImageSource
from rdc_sweeps.settings import Settings
from rdc_sweeps.training.predictions import predictions_file
from rdc_sweeps.training.scores import scores_file
from tests.reporting.conftest import Bench
from tests.reporting.imaged import finish, predictions, scores, side

HOSTILE = "$\\x$ <b>{0}\x1b[2J % " + "long-" * 20


def test_kept_scores_and_predictions_are_drawn_without_data_or_checkpoints(bench: Bench, tmp_path: Path) -> None:
    one, other = bench.runs(rows=["one-patch-vector", "one-patch-pixel"], seeds=[0])
    sides = [
        side(HOSTILE, one, finish(bench, one, kept=predictions())),
        side("other", other, finish(bench, other, 2.0, kept=predictions((4, 1, 2), shift=0.5))),
    ]
    told: list[str] = []
    settings = Settings(root=bench.root, cache_root=tmp_path / "nothing")
    chosen = FigureChoice(kinds=("classes", "predictions", "errors"), images=ImageChoice(positions=(4,)))
    written = write_figures(sides, settings, tmp_path / "new" / "out", chosen, told.append)
    names = [path.name for path in written]
    assert names == ["classes.png", "predictions-4.png", "errors-4.png"]
    assert not told
    for path in written:
        assert min(Image.open(path).size) > 300
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == sorted(names)


def test_a_row_that_keeps_nothing_is_told_and_does_not_hide_the_others(bench: Bench, tmp_path: Path) -> None:
    one, other = bench.runs(rows=["one-patch-vector", "one-patch-pixel"], seeds=[0])
    directory = finish(bench, other, kept=predictions())
    scores_file(directory.images, 3).unlink()
    sides = [side("one", one, finish(bench, one, kept=predictions())), side("earlier", other, directory)]
    told: list[str] = []
    chosen = FigureChoice(kinds=("classes", "predictions"), images=ImageChoice(positions=(4,)))
    written = write_figures(sides, Settings(root=bench.root), tmp_path / "out", chosen, told.append)
    assert [path.name for path in written] == ["classes.png", "predictions-4.png"]
    # Once, although two figures lack it.
    assert len(told) == 1
    assert f"run {other.id}: an earlier version trained it" in told[0]
    assert "there is no last.pt to compute them from" in told[0]


def test_rows_of_another_data_set_are_told(bench: Bench, tmp_path: Path) -> None:
    (one,) = bench.runs(rows=["one-patch-vector"], seeds=[0])
    (other,) = bench.runs("demo", rows=["one-patch-vector"], seeds=[0])
    sides = [side(name, run, finish(bench, run, kept=predictions())) for name, run in (("a", one), ("b", other))]
    told: list[str] = []
    write_figures(sides, Settings(root=bench.root), tmp_path, FigureChoice(kinds=("predictions",)), told.append)
    assert told == ["b: has other test images than a, and is not in the figures of predictions"]


def test_what_cannot_be_drawn_is_refused(bench: Bench, tmp_path: Path) -> None:
    (run,) = bench.runs(rows=["one-patch-vector"], seeds=[0])
    sides = [side("a", run, finish(bench, run, kept=predictions()))]
    settings = Settings(root=bench.root)
    chosen = FigureChoice(kinds=("errors",), images=ImageChoice(positions=(1, 99)))
    with pytest.raises(UsageError, match="no test image 99; there are 6, counted from 0"):
        write_figures(sides, settings, tmp_path, chosen)
    told: list[str] = []
    with pytest.raises(UsageError, match="nothing could be drawn"):
        write_figures(sides, settings, tmp_path, FigureChoice(kinds=("curves",)), told.append)
    assert told == ["no curves: no run has finished an epoch"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file/out: cannot be created"):
        write_figures(sides, settings, tmp_path / "file" / "out", FigureChoice())


def test_usual_images_are_those_that_all_rows_keep(bench: Bench) -> None:
    one, other = bench.runs(rows=["one-patch-vector", "one-patch-pixel"], seeds=[0])
    kept = finish(bench, one, kept=predictions((5, 1, 4))), finish(bench, other, kept=predictions((4, 2, 5)))
    sides = [side("a", one, kept[0]), side("b", other, kept[1])]
    source = ImageSource(Settings(root=bench.root))
    assert chosen_images(sides, [scores(), scores()], source, FigureChoice()) == [4, 5]
    predictions_file(kept[1].images).unlink()
    assert chosen_images(sides, [scores(), scores()], source, FigureChoice()) == [0, 2, 4]


def test_a_figure_can_be_a_pdf(bench: Bench, tmp_path: Path) -> None:
    (run,) = bench.runs(rows=["one-patch-vector"], seeds=[0])
    sides = [side("a", run, finish(bench, run))]
    chosen = FigureChoice(kinds=("classes",), form="pdf")
    (path,) = write_figures(sides, Settings(root=bench.root), tmp_path, chosen)
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    write_figures(sides, Settings(root=bench.root), tmp_path, chosen)
    assert path.read_bytes() == content


def test_errors_of_pixels() -> None:
    found = predictions(shift=1.0)
    wrong = error_map("semantic", found, 4)
    assert np.isnan(wrong[:, :2]).all()
    assert (wrong[:6, 2:] == 1).all()
    assert (wrong[6:, 2:] == 0).all()
    assert np.allclose(error_map("depth", found, 4), 1, atol=2e-3)
    assert np.allclose(error_map("normal", found, 4), 45, atol=0.1)
    found.predicted["normal"][:] = 0
    assert (error_map("normal", found, 4) == 90).all()
    found.truth["depth"][:] = 0
    assert np.isnan(error_map("depth", found, 1)).all()


def test_curves_of_a_run_in_progress_are_those_of_its_finished_epochs(bench: Bench) -> None:
    (run,) = bench.runs(rows=["one-patch-vector"], seeds=[0])
    found = curves_of(side("a", run, finish(bench, run)))
    assert found.values == {}


def test_long_names_fit() -> None:
    assert name_lines("one-region-gaussian-of-something-else") == "one-region-gaussian-\nof-something-else"
    assert all(len(line) <= 20 for line in name_lines("x" * 500).split("\n"))
    assert name_lines("\x1b") == "␛"
