"""What dashboard commands name: tables, studies, or everything in a runs folder."""

import json
from pathlib import Path

import pytest

from rdc_sweeps.dashboards.targets import named_dashboards
from rdc_sweeps.dashboards.views import report_view, workspace_view
from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Settings
from rdc_sweeps.tuning.study_workers import work_on_study
from tests.dashboards.keys import references
from tests.tuning.conftest import EXPERIMENTS, Open, Where, journal, opened, tuned  # noqa: F401 (fixtures)
from tests.tuning.simulation import Simulation, settings


@pytest.fixture
def study(journal: Where, opened: Open) -> Settings:  # noqa: F811
    """The settings of a runs folder with a study of three trials."""
    opened(journal, 3, epochs=2)
    work_on_study(journal.root, journal.name, settings(journal.root), 3, work=Simulation())
    return Settings(root=journal.root, experiments=EXPERIMENTS, profile="demo")


@pytest.mark.parametrize("name", ["example", None])
def test_a_study_by_its_name_or_with_everything(name: str | None, study: Settings) -> None:
    (found,) = named_dashboards(name, study)
    assert (found.title, found.done, found.total) == ("study example", 3, 3)
    named = references(json.loads(workspace_view(found, "p").spec))
    assert named.groups == {"example"}
    assert "loss" in named.history
    assert "| 0 | complete, best" in found.text
    (content,) = [
        block["content"]
        for block in json.loads(report_view(found, "p").spec)["blocks"]
        if block["type"] == "markdown-block"
    ]
    assert content == found.text


def test_a_table_with_changes(study: Settings) -> None:
    (found,) = named_dashboards("table3", study, seeds=[0, 1], changes=["training.epochs=1"])
    assert found.title == "table3 under profile demo --set training.epochs=1"
    assert found.total == 24


def test_unknown_names_have_suggestions(study: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no table or study 'exmple'; did you mean 'example'\?"):
        named_dashboards("exmple", study)
    with pytest.raises(UsageError, match="no table 'example'"):
        named_dashboards("example", study, seeds=[0])
    with pytest.raises(UsageError, match="no runs under profile demo"):
        named_dashboards(None, study.model_copy(update={"root": tmp_path / "none"}))
