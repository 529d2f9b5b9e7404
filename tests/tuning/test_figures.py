"""Figures of all kinds of studies: as PNG files, and as SVG in the report."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from rdc_sweeps.tuning import figures as figures_module
from rdc_sweeps.tuning.figures import draw_figures, svg_text, write_figures
from rdc_sweeps.tuning.plot_data import field_axes, surface, trials_in
from tests.tuning.studies import SPACE, SUMMARIES, all_pruned, constant, summary_of, tuned_row, usual, values_of

ONE = "\n  method.contrast.temperature: {log: [0.01, 100]}"
CHOICES = """
  method.contrast.temperature: {log: [0.01, 100]}
  method.mapping.channels: {choice: [[8, 16], [16, 16], [16, 24, 32, 32]]}
  method.min_pixels: {integer: [2, 40]}
  method.contrast.negatives: {choice: [both, other]}
"""
SPACES = {"three": SPACE, "one": ONE, "choices": CHOICES}

EXPECTED = {
    "usual": {"history", "intermediate", "slices", "contour", "importances"},
    "all_pruned": {"history", "intermediate", "slices"},
    "constant": {"history", "intermediate", "slices", "contour", "importances"},
    "single": {"history", "intermediate", "slices", "contour"},
    "nothing": set(),
}


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of few pixels, which are written faster."""
    monkeypatch.setattr(figures_module, "DOTS_PER_INCH", 60)


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", SUMMARIES)
def test_every_figure_that_is_possible_is_drawn(tmp_path: Path, name: str, space: str) -> None:
    tuned = tuned_row(tmp_path, space=SPACES[space])
    figures = draw_figures(SUMMARIES[name](tuned), tuned.spec.space)
    # A surface is over two fields.
    assert set(figures) == EXPECTED[name] - ({"contour"} if space == "one" else set())
    written = write_figures(figures, tmp_path)
    assert {path.stem for path in written} == set(figures)
    for path in written:
        with Image.open(path) as image:
            assert min(image.size) >= 80
            assert np.asarray(image.convert("L")).std() > 1


@pytest.mark.usefixtures("coarse")
def test_the_file_of_a_figure_that_is_no_longer_possible_is_removed(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    write_figures(draw_figures(usual(tuned), tuned.spec.space), tmp_path)
    write_figures(draw_figures(all_pruned(tuned), tuned.spec.space), tmp_path)
    assert {path.stem for path in tmp_path.glob("*.png")} == EXPECTED["all_pruned"]


def plot_of(figure: Figure, index: int = 0) -> Axes:
    return figure.axes[index]


def points(plot: Axes, label: str) -> PathCollection:
    (found,) = (one for one in plot.collections if str(one.get_label()).startswith(label))
    assert isinstance(found, PathCollection)
    return found


def line(plot: Axes, label: str) -> Line2D:
    (found,) = (one for one in plot.lines if one.get_label() == label)
    return found


def test_axes_have_the_scale_of_the_field_and_name_it(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path, space=CHOICES)
    figures = draw_figures(usual(tuned), tuned.spec.space)
    temperature, channels, pixels = (plot_of(figures["slices"], index) for index in range(3))
    assert temperature.get_xscale() == "log"
    assert np.log10(temperature.get_xlim()) == pytest.approx([-2.12, 2.12])
    assert temperature.get_xlabel() == "temperature"
    assert [text.get_text() for text in channels.get_xticklabels()] == ["[8, 16]", "[16, 16]", "[16, 24, 32, 32]"]
    assert pixels.get_xscale() == "linear"
    assert plot_of(figures["history"]).get_ylabel() == "Δm over one-patch-vector, % (validation)"
    assert plot_of(figures["contour"]).get_xscale() == "log"


def test_pruned_trials_are_no_part_of_the_surface_and_of_the_best(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 99.0]
    found = summary_of(tuned, ("complete", "complete", "complete", "complete", "complete", "pruned"), values)
    between = surface(trials_in(found, "complete"), *field_axes(tuned.spec.space)[:2])
    assert between is not None
    assert np.nanmax(between.z) <= 5.0
    figures = draw_figures(found, tuned.spec.space)
    (contours,) = (one for one in plot_of(figures["contour"]).collections if isinstance(one, QuadContourSet))
    assert np.asarray(contours.levels).max() <= 5.0
    assert np.array_equal(line(plot_of(figures["history"]), "best so far").get_ydata(), [1.0, 2.0, 3.0, 4.0, 5.0])


def test_equal_values_have_no_surface(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    plot = plot_of(draw_figures(constant(tuned), tuned.spec.space)["contour"])
    assert [type(one) for one in plot.collections] == [PathCollection]
    assert {one.get_label() for one in plot.lines} == {"the untuned row", "best"}


def test_the_best_trial_and_the_untuned_row_are_both_seen_if_they_are_one(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    found = summary_of(tuned, ["complete"] * 3, [3.0, 1.0, 2.0])
    assert found.best is found.default
    plot = plot_of(draw_figures(found, tuned.spec.space)["intermediate"])
    best, untuned = line(plot, "best"), line(plot, "the untuned row")
    assert plot.lines.index(best) < plot.lines.index(untuned)
    assert (best.get_linestyle(), untuned.get_linestyle()) == ("-", "--")


def test_a_metric_that_is_better_when_lower(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    found = summary_of(tuned, ["complete"] * 3, [0.5, 0.3, 0.4], objective="aErr", direction="minimize", epochs_saved=0)
    plot = plot_of(draw_figures(found, tuned.spec.space)["history"])
    assert np.array_equal(line(plot, "best so far").get_ydata(), [0.5, 0.3, 0.3])
    assert plot.get_ylabel() == "aErr (validation; lower is better)"


def test_texts_from_files_are_escaped(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    evil = "</script><img src=x onerror=alert(1)> $x^2$"
    found = summary_of(tuned, ["complete"] * 9, values_of(tuned, 9), objective=f"delta-m over {evil}")
    for name, figure in draw_figures(found, tuned.spec.space).items():
        text = svg_text(name, figure, found)
        assert "<img" not in text
        if name != "importances":
            assert "&lt;img src=x onerror=alert(1)&gt; $x^2$" in text


def test_pruned_trials_do_not_squeeze_the_others(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    found = summary_of(tuned, ("complete", "complete", "pruned"), [1.0, 2.0, -500.0])
    figures = draw_figures(found, tuned.spec.space)
    for name in ("history", "slices"):
        offsets = np.asarray(points(plot_of(figures[name]), "pruned").get_offsets())
        assert offsets[:, 1] == pytest.approx([0.9])
        assert "trial 2, pruned: -500\n" in svg_text(name, figures[name], found)


@pytest.mark.parametrize("name", ["usual", "all_pruned", "single"])
def test_each_trial_in_an_svg_is_a_link_that_describes_it(tmp_path: Path, name: str) -> None:
    tuned = tuned_row(tmp_path, space=CHOICES)
    found = SUMMARIES[name](tuned)
    drawn = [trial for trial in found.trials if trial.phase in {"complete", "pruned"}]
    figures = draw_figures(found, tuned.spec.space)
    ids = []
    for title in ("history", "slices", "contour", "intermediate"):
        if title not in figures:
            continue
        text = svg_text(title, figures[title], found)
        root = ElementTree.fromstring(text)
        ids += [element.get("id") for element in root.iter() if element.get("id")]
        links = dict(re.findall(r'<a href="#trial-(\d+)"><title>(.*?)</title>', text, re.DOTALL))
        assert set(links) >= {str(trial.number) for trial in drawn}
        first = links["0"].splitlines()
        assert first[0].startswith(f"trial 0, {found.trials[0].phase}: {found.trials[0].value:.4g}")
        assert "method.contrast.temperature = 5.4" in first
        # All links in the page have a title.
        assert text.count("<a ") == text.count("<title>")
    definitions = [one for one in ids if one and re.fullmatch(r"[mp][0-9a-f]{10}", one)]
    assert definitions
    assert len(set(definitions)) == len(definitions)
