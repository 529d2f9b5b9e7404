"""The JSON that W&B gets."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rdc_sweeps.dashboards.contents import study_dashboard
from rdc_sweeps.dashboards.views import report_view, workspace_view
from rdc_sweeps.errors import UsageError
from rdc_sweeps.texts import visible
from tests.dashboards.conftest import dashboard_of
from tests.dashboards.keys import references
from tests.reporting.conftest import Bench
from tests.tuning.studies import report_of, tuned_row, usual


def test_a_workspace_shows_the_runs_of_its_table_by_row(bench: Bench) -> None:
    view = workspace_view(dashboard_of(bench), "rdc-sweeps")
    found = references(json.loads(view.spec))
    assert found.runs == {run.id for run in bench.runs("demo")}
    assert found.grouping == {"jobType"}
    assert found.config == {"seed"}
    assert "panels/image 3" in found.pictures
    assert {"test/mIoU", "validation/mErr", "loss", "epoch"} <= found.history
    lines = [panel for panel in panels(view.spec) if panel["viewType"] == "Run History Line Plot"]
    assert {(one["config"]["groupAgg"], one["config"]["groupArea"]) for one in lines} == {("mean", "minmax")}
    assert {one["config"]["limit"] for one in lines} == {12}


def test_the_report_has_the_table_and_the_same_panels(bench: Bench) -> None:
    shown = dashboard_of(bench)
    blocks = json.loads(report_view(shown, "rdc-sweeps").spec)["blocks"]
    assert [block["content"] for block in blocks if block["type"] == "markdown-block"] == [shown.text]
    workspace, report = (references(json.loads(build(shown, "p").spec)) for build in (workspace_view, report_view))
    assert report == workspace


@pytest.mark.parametrize("build", [workspace_view, report_view])
def test_the_same_dashboard_is_the_same_json(build: object, bench: Bench) -> None:
    assert callable(build)
    assert build(dashboard_of(bench), "p") == build(dashboard_of(bench), "p")


def test_panels_of_a_report_lie_beside_and_below_each_other(bench: Bench) -> None:
    for grid in json.loads(report_view(dashboard_of(bench), "p").spec)["blocks"]:
        if grid["type"] == "panel-grid":
            cells = [
                (x, y)
                for panel in grid["metadata"]["panelBankSectionConfig"]["panels"]
                for x in range(panel["layout"]["x"], panel["layout"]["x"] + panel["layout"]["w"])
                for y in range(panel["layout"]["y"], panel["layout"]["y"] + panel["layout"]["h"])
            ]
            assert len(set(cells)) == len(cells)
            assert max(x for x, _ in cells) < 24


def test_a_study_is_shown_by_its_group_one_line_per_trial(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    shown = study_dashboard(report_of(tuned, usual(tuned), tmp_path / "runs"), tmp_path / "runs")
    found = references(json.loads(workspace_view(shown, "p").spec))
    assert (found.groups, found.runs, found.grouping) == ({"example-demo"}, set(), set())
    assert found.config == set(tuned.spec.space)
    assert {"validation/mIoU"} <= found.summary


def test_a_missing_package_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = dashboard_of(bench)
    for name in ("wandb_workspaces", "wandb_workspaces.workspaces", "wandb_workspaces.reports.v2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"wandb_workspaces.*pip install -e '\.\[dashboard\]'"):
        workspace_view(shown, "p")


def test_long_titles_are_cut_as_wandb_requires(bench: Bench) -> None:
    view = report_view(replace(dashboard_of(bench), title="t" * 500), "p")
    assert len(view.title) == 128
    assert visible(view.title) == view.title


@pytest.mark.parametrize("title", ["t --set training.probe={every: 1, images: 4}", "a 🚀 b :smile: ⚡ 中文 ☃"])
def test_any_title_makes_a_workspace(title: str, bench: Bench) -> None:
    shown = replace(dashboard_of(bench), title=title)
    assert workspace_view(shown, "p").title.replace(" ", "").startswith(title[0])
    assert report_view(shown, "p").title == title


def panels(spec: str) -> list[dict[str, Any]]:
    """The panels of a workspace."""
    sections = json.loads(spec)["section"]["panelBankConfig"]["sections"]
    return [panel for section in sections for panel in section["panels"]]
