"""The report of a study as a file: what stands in it, and that a browser shows it without a network."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from rdc_sweeps.tuning.figures import draw_figures
from rdc_sweeps.tuning.study_html import render_html
from rdc_sweeps.tuning.study_report import StudyReport
from tests.pages import Page
from tests.tuning.studies import aligned, all_pruned, nothing, report_of, summary_of, tuned_row, usual, values_of


def render(report: StudyReport) -> str:
    return render_html(report, draw_figures(report.summary, report.tuned.spec.space))


@pytest.fixture(scope="module")
def usual_report(tmp_path_factory: pytest.TempPathFactory) -> StudyReport:
    """The report of a study with everything in it."""
    folder = tmp_path_factory.mktemp("usual")
    tuned = tuned_row(folder, title="An example & <more>")
    return report_of(tuned, usual(tuned), folder / "runs")


@pytest.fixture(scope="module")
def usual_page(usual_report: StudyReport) -> str:
    """Its page, which takes a second to draw."""
    return render(usual_report)


def words(html: str) -> str:
    """What a reader sees, in one line."""
    return " ".join(Page(html).text.replace(" | ", " ").split())


def test_test_metrics_are_shown_of_the_confirmed_choice_and_what_it_is_compared_with_only(usual_page: str) -> None:
    text = words(usual_page)
    before, _, rest = text.partition("What the choice is worth, on test images")
    test, _, after = rest.partition("What to run next")
    assert "seeds 1, 2, 3" in test
    assert "one-region-gaussian-tuned" in test
    assert "22.33 ± 0.33" in test
    assert "42.28" in test  # published
    assert "Numbers of profile demo are not comparable with the published ones" in test
    assert "X: failed, disk <full> — one-region-gaussian (seed 2)" in test
    assert "mIoU" not in before + after
    assert "22.33" not in before + after


def test_before_the_confirmation_no_test_metric_is_shown(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    text = words(render_html(report_of(tuned, usual(tuned), tmp_path / "runs", confirmed=False), {}))
    assert "Not measured yet" in text
    assert "mIoU" not in text


def test_the_images_of_trials_are_counted(usual_report: StudyReport, usual_page: str) -> None:
    expected = usual_report.tuned.run.dataset.training_count
    assert f"{expected} training images" in words(usual_page)
    short = words(render_html(replace(usual_report, images=(expected, 12)), {}))
    assert f"{expected} or 12 (instead of {expected}) training images" in short


def test_alignment_is_of_training_images_and_metrics_are_beside_it(tmp_path: Path) -> None:
    report = aligned(tmp_path)
    html = render(report)
    text = words(html)
    assert "What was found, on training images" in text
    assert "no result of training without these labels" in text
    assert "measured on 48 training images, with all of their labels" in text
    assert "alignment of region_contrast, cosine (training)" in text
    assert "mIoU, % (validation; higher is better)" in text
    # The pruned trial has no metrics.
    assert re.search(r'<tr id="trial-1".*?<td>-0.0020</td>\s*<td>-</td><td>-</td><td>-</td>', html, re.S)
    assert re.search(r'<tr id="trial-2".*?<td>\+0.0314</td>\s*<td>22.00</td><td>1.1000</td><td>36.00</td>', html, re.S)


def test_studies_without_a_choice_have_a_report(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    assert "No trial is complete yet" in words(render(report_of(tuned, all_pruned(tuned), tmp_path)))
    text = words(render(report_of(tuned, nothing(tuned), tmp_path)))
    assert "No trial has a value yet" in text
    assert "0 finished of 50 asked: none yet" in text


def test_what_comes_from_files_is_escaped(tmp_path: Path) -> None:
    evil = "</title></script><img src=x onerror=alert(1)>"
    tuned = tuned_row(tmp_path, title=evil)
    found = summary_of(
        tuned, ["complete"] * 9, values_of(tuned, 9), name=evil, row_yaml=evil, command=evil, storage=evil,
    )  # fmt: skip
    html = render(report_of(tuned, found, tmp_path / "runs"))
    assert "<img" not in html
    # One script: that of the pages.
    assert html.count("<script") == 1
    assert "onerror=alert" not in re.sub(r"&lt;img src=x onerror=alert", "", html)


def test_a_trial_has_its_configuration_its_runs_and_why_it_failed(usual_report: StudyReport, usual_page: str) -> None:
    assert re.search(
        r'<th scope="row">6</th><td class="text">failed</td><td>-</td>.*?DivergenceError: loss = nan', usual_page, re.S
    )
    assert f"{2:016x}" in usual_page
    # A point of a figure leads to the trial's row.
    rows = set(re.findall(r'<tr id="trial-(\d+)"', usual_page))
    links = set(re.findall(r'<a href="#trial-(\d+)"', usual_page))
    assert len(rows) == len(usual_report.summary.trials)
    assert links <= rows
    assert {"0", "1", "2"} <= links


def test_each_of_the_compared_trials_has_its_colour(usual_page: str) -> None:
    assert re.search(r'<tr class="default"><th scope="row" class="text">the untuned row</th>', usual_page)
    assert len(re.findall(r'<tr class="best"><th scope="row" class="text">best</th>', usual_page)) == 1


def test_names_in_notes_are_code(usual_page: str) -> None:
    assert "Numbers of profile <code>demo</code> are not comparable" in usual_page
    assert "`" not in words(usual_page)


def test_only_a_broad_figure_takes_the_whole_width(tmp_path: Path, usual_page: str) -> None:
    assert re.findall(r'id="(\w+)" class="broad"', usual_page) == ["slices"]
    one = tuned_row(tmp_path, space="\n  method.contrast.temperature: {log: [0.01, 100]}")
    html = render(report_of(one, usual(one), tmp_path / "runs"))
    assert 'id="slices"' in html
    assert 'class="broad"' not in html
