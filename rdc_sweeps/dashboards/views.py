"""Dashboards as W&B stores them: the specs of a saved workspace and of a report, built and checked without a server."""

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rdc_sweeps.dashboards.contents import Bars, Coordinates, Dashboard, Lines, Panel, Pictures
from rdc_sweeps.errors import UsageError
from rdc_sweeps.tracking.keys import EPOCH

if TYPE_CHECKING:
    from wandb_workspaces import expr

GROUPED_BY = "JobType"
"""W&B's name for the attribute that has a run's row (see `tracking.identity`)."""

LONGEST_TITLE = 128

COLUMNS = 3
"""Panels beside each other."""

WIDTH, HEIGHT = 24, 6
"""Size of a report's grid, and the height of a panel in it."""

ViewKind = Literal["project-view", "runs"]
"""W&B's types of a saved workspace and of a report."""


@dataclass(frozen=True)
class View:
    """A workspace or report, as W&B stores it."""

    kind: ViewKind
    name: str
    """Internal name, which stays the same."""
    title: str
    description: str
    spec: str
    """JSON."""

    def to_data(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "type": self.kind,
            "name": self.name,
            "displayName": self.title,
            "description": self.description,
            "spec": json.loads(self.spec),
        }


def workspace_view(dashboard: Dashboard, project: str) -> View:
    """The saved workspace.

    Raises:
        UsageError: The package that builds it is not installed.
    """
    workspaces, reports, expressions = _packages()
    # The package asks W&B for the entity and the project only when it saves.
    workspace = workspaces.Workspace(
        entity="",
        project=project,
        name=_workspace_title(dashboard.title),
        sections=[
            workspaces.Section(
                name=section.title,
                panels=[_panel(reports, section.title, panel, dashboard) for panel in section.panels],
                is_open=True,
                layout_settings=workspaces.SectionLayoutSettings(columns=COLUMNS, rows=2),
            )
            for section in dashboard.sections
        ],
        settings=workspaces.WorkspaceSettings(max_runs=max(1, len(dashboard.runs), dashboard.rows)),
        runset_settings=workspaces.RunsetSettings(
            filters=_filters(expressions, dashboard),
            groupby=[] if dashboard.group else [expressions.Metric(GROUPED_BY)],
            pinned_columns=_columns(dashboard),
        ),
    )
    spec = workspace._to_model().spec.model_dump_json(by_alias=True, exclude_none=True)
    return View(
        "project-view", f"nw-{dashboard.name}-v", _workspace_title(dashboard.title), _description(dashboard), spec
    )


def report_view(dashboard: Dashboard, project: str) -> View:
    """The report: the text, and the panels below it.

    Raises:
        UsageError: The package that builds it is not installed.
    """
    _, reports, expressions = _packages()
    blocks: list[Any] = [reports.MarkdownBlock(text=dashboard.text)]
    for section in dashboard.sections:
        runset = reports.Runset(
            name=dashboard.title,
            filters=_filters(expressions, dashboard),
            groupby=[] if dashboard.group else [GROUPED_BY],
            pinned_columns=_columns(dashboard),
        )
        runset._id = _id(dashboard.name, section.title)
        panels = [_panel(reports, section.title, panel, dashboard) for panel in section.panels]
        for place, panel in enumerate(panels):
            width = WIDTH // COLUMNS
            panel.layout = reports.Layout(x=place % COLUMNS * width, y=place // COLUMNS * HEIGHT, w=width, h=HEIGHT)
        blocks += [reports.H2(section.title), reports.PanelGrid(runsets=[runset], panels=panels)]
    title = dashboard.title if len(dashboard.title) <= LONGEST_TITLE else f"{dashboard.title[: LONGEST_TITLE - 1]}…"
    # Any entity: left out, the package would ask W&B for it.
    report = reports.Report(project=project, entity="-", title=title, blocks=blocks, width="fluid")
    spec = report._to_model().spec.model_dump_json(by_alias=True, exclude_none=True)
    return View("runs", dashboard.name, title, _description(dashboard), spec)


def _workspace_title(title: str) -> str:
    """The title with spaces in place of symbols, which W&B refuses in names of workspaces."""
    return "".join(" " if unicodedata.category(one).startswith(("S", "Cs")) else one for one in title)


def _packages() -> tuple[Any, Any, Any]:
    try:
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
        from wandb_workspaces import expr
    except ImportError as error:
        raise UsageError(f"dashboards need {error.name}: pip install -e '.[dashboard]' in the checkout") from error
    return workspaces, reports, expr


def _description(dashboard: Dashboard) -> str:
    return f"{dashboard.done} of {dashboard.total} done. Written by rdc-sweep dashboard, which replaces all changes."


def _filters(expressions: Any, dashboard: Dashboard) -> "list[expr.FilterExpr]":
    if dashboard.group is not None:
        return [expressions.Metric("Group") == dashboard.group]
    # Not the group: a run that several tables share has the group of the table that requested it first.
    return [expressions.Metric("ID").isin(list(dashboard.runs))]


def _columns(dashboard: Dashboard) -> list[str]:
    fields = [f"config:{_config(field)}" for field in dashboard.fields]
    return ["run:displayName", "run:jobType", "run:state", *fields, *(f"summary:{key}" for key in dashboard.keys)]


def _config(field: str) -> str:
    """W&B's path of a field of a spec."""
    first, dot, rest = field.partition(".")
    return f"{first}.value{dot}{rest}"


def _panel(reports: Any, section: str, panel: Panel, dashboard: Dashboard) -> Any:
    per_row = None if dashboard.group else reports.Metric(GROUPED_BY)
    match panel:
        case Lines():
            built = reports.LinePlot(
                title=panel.title,
                x=EPOCH if panel.over_epochs else "Step",
                y=[panel.key],
                groupby=per_row,
                groupby_aggfunc=per_row and "mean",
                groupby_rangefunc=per_row and "minmax",
                max_runs_to_show=dashboard.rows,
            )
        case Bars():
            built = reports.BarPlot(
                title=panel.title,
                metrics=[panel.key],
                groupby=per_row,
                groupby_aggfunc=per_row and "mean",
                groupby_rangefunc=per_row and "stddev",
                max_bars_to_show=dashboard.rows,
                max_runs_to_show=max(1, len(dashboard.runs), dashboard.rows),
            )
        case Pictures():
            built = reports.MediaBrowser(title=panel.title, media_keys=[panel.key], num_columns=1)
        case Coordinates():
            built = reports.ParallelCoordinatesPlot(title=panel.title, columns=_axes(reports, panel))
    # Always the same, so that what W&B remembers of a panel still belongs to it after an update.
    built._id = _id(dashboard.name, section, panel.title)
    return built


def _axes(reports: Any, panel: Coordinates) -> Sequence[Any]:
    metrics = [reports.Config(field) for field in panel.fields] + [reports.SummaryMetric(key) for key in panel.keys]
    return [reports.ParallelCoordinatesPlotColumn(metric=metric) for metric in metrics]


def _id(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:11]
