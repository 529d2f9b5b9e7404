"""Which row is the best, and its pictures."""

from rdc_sweeps.reporting.report import build_report
from rdc_sweeps.web.best import best_row
from rdc_sweeps.web.site import INDEX, Site
from tests.pages import Page
from tests.reporting.conftest import Bench
from tests.web.making import draw_panel, finish, site_reader

ROWS = ("one-patch-vector", "one-patch-gaussian", "one-region-gaussian")


def overview(site: Site) -> Page:
    return Page((site.content(INDEX) or b"").decode())


def test_the_best_row_improves_most_on_average(bench: Bench) -> None:
    runs = bench.runs("cpu", rows=ROWS)
    for run, number in zip(runs, (1.0, 3.0, 2.0), strict=True):
        finish(bench, run, number)
    report = build_report(runs, bench.root)
    assert [getattr(best_row(report, among), "id", None) for among in (ROWS, ROWS[::2], ROWS[:1], ())] == [
        "one-patch-gaussian", "one-region-gaussian", "one-patch-vector", None,
    ]  # fmt: skip


def test_a_row_without_all_its_numbers_is_not_the_best(bench: Bench) -> None:
    first, second, third = bench.runs("cpu", rows=ROWS)
    report = build_report([first, second, third], bench.root)
    assert best_row(report, ROWS) is None
    finish(bench, second, 1.0)
    report = build_report([first, second, third], bench.root)
    found = best_row(report, ROWS)
    assert found is not None
    assert found.id == "one-patch-gaussian"


def test_the_overview_opens_with_pictures_of_the_best_row(bench: Bench) -> None:
    runs = bench.runs("cpu", rows=ROWS)
    for run, number in zip(runs, (1.0, 2.0, 3.0), strict=True):
        finish(bench, run, number)
        if run is not runs[-1]:
            draw_panel(bench, run, 0.2 + number / 10)
    site = site_reader(bench, runs).read()
    page = overview(site)
    pictures = page.of("img")
    assert [one["alt"] for one in pictures] == [
        "input of image 0", "legend of image 0",
        "semantic truth of image 0", "semantic of image 0, predicted by one-patch-gaussian",
        "depth truth of image 0", "depth of image 0, predicted by one-patch-gaussian",
        "normal truth of image 0", "normal of image 0, predicted by one-patch-gaussian",
    ]  # fmt: skip
    assert all((site.content(one["src"]) or b"").startswith(b"\x89PNG") for one in pictures)
    assert pictures[4]["src"] != pictures[5]["src"]
    assert "The best row on average is one-patch-gaussian" in page.text


def test_without_pictures_the_overview_names_no_best_row(bench: Bench) -> None:
    (run,) = bench.runs("cpu", rows=ROWS[:1])
    finish(bench, run, 1.0)
    page = overview(site_reader(bench, [run]).read())
    assert not page.of("img")
    assert "The best row" not in page.text
