"""The studies of a runs folder have pages in the frame of the report."""

import pytest

from rdc_sweeps.tuning.study import open_study
from rdc_sweeps.tuning.study_workers import work_on_study
from tests.pages import Page
from tests.reporting.conftest import Bench
from tests.tuning.conftest import Make, tuned
from tests.tuning.simulation import Simulation, settings
from tests.web.making import site_reader

__all__ = ["tuned"]


@pytest.mark.slow
def test_a_study_is_on_the_overview_and_has_its_page(bench: Bench, tuned: Make) -> None:
    study = open_study(bench.root, "example", tuned())
    study.ask_for(3)
    work_on_study(bench.root, "example", settings(bench.root), 3, work=Simulation())
    (bench.root / "studies" / "Damaged study").mkdir()
    (bench.root / "studies" / "Damaged study" / "study.yaml").write_text("spec: 1\n")
    site = site_reader(bench, bench.runs("demo", rows=["one-patch-vector"])).read()
    overview = Page((site.content("index.html") or b"").decode())
    assert "An example: table3/one-region-gaussian under profile demo" in overview.text
    assert "study.yaml: is damaged" in overview.text
    links = [one["href"] for one in overview.of("a") if one["href"].startswith("studies/")]
    assert links[1] == "studies/example.html"
    found = Page((site.content(links[1]) or b"").decode())
    assert "3 finished of 3 asked" in found.text
    assert {"history", "trial-0", "trial-2"} <= set(found.ids)
    # In the frame of the report, which is a folder further up.
    assert {"../index.html", "../table3.html"} <= {one["href"] for one in found.of("a")}
    assert found.of("link")[-1]["href"] == "../page.css"
    # It is drawn once for many readers.
    assert site.content(links[1]) == site.content(links[1])
    work = site.files[links[1]]
    study.ask_for(4)
    assert work() == found.html.encode()
    damaged = Page((site.content(links[0]) or b"").decode())
    assert "restore the file from a backup" in damaged.text
