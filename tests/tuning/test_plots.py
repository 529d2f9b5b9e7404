"""Plots of all kinds of studies: as PNG files, and as figures of the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rdc_sweeps.tuning.figures import as_script, build_figures
from rdc_sweeps.tuning.plots import draw_plots
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


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", SUMMARIES)
def test_every_plot_that_is_possible_is_drawn(tmp_path: Path, name: str, space: str) -> None:
    tuned = tuned_row(tmp_path, space=SPACES[space])
    drawn = draw_plots(SUMMARIES[name](tuned), tuned.spec.space, tmp_path)
    # A surface is over two fields.
    assert {path.stem for path in drawn} == EXPECTED[name] - ({"contour"} if space == "one" else set())
    for path in drawn:
        with Image.open(path) as image:
            assert min(image.size) >= 200
            assert np.asarray(image.convert("L")).std() > 1


def test_a_plot_that_is_no_longer_possible_is_removed(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    draw_plots(usual(tuned), tuned.spec.space, tmp_path)
    draw_plots(all_pruned(tuned), tuned.spec.space, tmp_path)
    assert {path.stem for path in tmp_path.glob("*.png")} == EXPECTED["all_pruned"]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", SUMMARIES)
def test_figures_are_those_of_the_plots(tmp_path: Path, name: str, space: str) -> None:
    tuned = tuned_row(tmp_path, space=SPACES[space])
    figures = build_figures(SUMMARIES[name](tuned), tuned.spec.space)
    assert json.loads(as_script(figures).replace("\\u003c", "<")) == json.loads(json.dumps(figures))
    expected = EXPECTED[name] - ({"contour"} if space == "one" else set())
    assert {figure.partition("-")[0] for figure in figures} == {"slice" if one == "slices" else one for one in expected}


def axis(figure: dict[str, Any], which: str = "xaxis") -> dict[str, Any]:
    found: dict[str, Any] = figure["layout"][which]
    return found


def test_axes_have_the_scale_of_the_field_and_name_it(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path, space=CHOICES)
    figures = build_figures(usual(tuned), tuned.spec.space)
    temperature, channels, pixels = (axis(figures[f"slice-{index}"]) for index in range(3))
    assert temperature["type"] == "log"
    assert temperature["range"] == pytest.approx([-2.12, 2.12])
    assert temperature["title"]["text"] == "temperature"
    assert channels["ticktext"] == ["[8, 16]", "[16, 16]", "[16, 24, 32, 32]"]
    assert "type" not in pixels
    assert axis(figures["history"], "yaxis")["title"]["text"] == "Δm over one-patch-vector, % (validation)"
    assert axis(figures["contour"])["type"] == "log"


def test_pruned_trials_are_no_part_of_the_surface_and_of_the_best(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 99.0]
    found = summary_of(tuned, ("complete", "complete", "complete", "complete", "complete", "pruned"), values)
    figures = build_figures(found, tuned.spec.space)
    cells = [cell for line in figures["contour"]["data"][0]["z"] for cell in line if cell is not None]
    assert max(cells) <= 5.0
    best = next(one for one in figures["history"]["data"] if one["name"] == "best so far")
    assert best["y"] == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_equal_values_have_no_surface(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    kinds = [one["type"] for one in build_figures(constant(tuned), tuned.spec.space)["contour"]["data"]]
    assert kinds == ["scatter"] * 3


def test_a_metric_that_is_better_when_lower(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    found = summary_of(tuned, ["complete"] * 3, [0.5, 0.3, 0.4], objective="aErr", direction="minimize", epochs_saved=0)
    history = build_figures(found, tuned.spec.space)["history"]
    best = next(one for one in history["data"] if one["name"] == "best so far")
    assert best["y"] == [0.5, 0.3, 0.3]
    assert axis(history, "yaxis")["title"]["text"] == "aErr (validation; lower is better)"


def test_texts_from_outside_are_escaped(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    evil = "</script><img src=x onerror=alert(1)>"
    found = summary_of(tuned, ["complete"] * 9, values_of(tuned, 9), objective=f"delta-m over {evil}")
    text = as_script(build_figures(found, tuned.spec.space))
    assert "<" not in text
    assert "\\u003cimg" not in text
    assert "\\u0026lt;img" in text


def test_pruned_trials_do_not_squeeze_the_others(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    found = summary_of(tuned, ("complete", "complete", "pruned"), [1.0, 2.0, -500.0])
    for name in ("history", "slice-0"):
        data = build_figures(found, tuned.spec.space)[name]["data"]
        (pruned,) = (one for one in data if one["name"].startswith("pruned"))
        assert pruned["y"] == pytest.approx([0.9])
        assert "-500" in pruned["hovertext"][0]
