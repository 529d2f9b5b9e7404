"""Draws docs/images/dashboard.png and dashboard-report.png from the runs that `make demo` left in ./runs.

They are no screenshots of W&B: the panels are those of the JSON that `rdc-sweep dashboard table3 -n` prints, and the
values those that the runs send to W&B, under the names in the JSON.
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from rdc_sweeps.dashboards.contents import table_dashboard
from rdc_sweeps.dashboards.views import report_view, workspace_view
from rdc_sweeps.reporting.report import build_report
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.settings import experiments_folder, load_settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tracking.history import History, HistoryRow
from rdc_sweeps.tracking.keys import of_picture
from rdc_sweeps.tracking.session import summary_values

HERE = Path(__file__).parent
COLUMNS = 3
SHOWN = {"Test images, epoch chosen by best-validation": 3, "Test images": 6, "Predictions": 1}
"""Sections to draw, and how many panels of each."""

NOTE = "drawn from the dashboard's JSON and the runs' logs; not a screenshot of W&B"


@dataclass(frozen=True)
class Sent:
    """What W&B has of a run."""

    row: str
    history: Sequence[HistoryRow]
    summary: Mapping[str, float]
    folder: Path


def sent(directory: RunDirectory, row: str) -> Sent:
    """What a finished run has sent."""
    history, result = History(), directory.result()
    rows = [complete for event in read_events(directory.events) if (complete := history.add(event))]
    if history.pending is None or result is None:
        raise SystemExit("run `make demo` first")
    return Sent(row, [*rows, history.pending], summary_values(result), directory.folder)


def by_row(runs: Sequence[Sent]) -> Iterator[tuple[str, list[Sent]]]:
    """The runs of each row."""
    for row in dict.fromkeys(run.row for run in runs):
        yield row, [run for run in runs if run.row == row]


def draw(axes: Axes, panel: Mapping[str, Any], runs: Sequence[Sent]) -> None:
    """Draw one panel of the JSON."""
    config = panel["config"]
    axes.set_title(config["chartTitle"], fontsize=8, loc="left")
    axes.tick_params(labelsize=6)
    if panel["viewType"] == "Run History Line Plot":
        (key,), axis = config["metrics"], config["xAxis"]
        for place, (row, seeds) in enumerate(by_row(runs)):
            curves = [
                {step.values.get(axis, step.step): step.values[key] for step in run.history if key in step.values}
                for run in seeds
            ]
            xs = sorted(set.intersection(*map(set, curves)))
            ys = [[curve[x] for curve in curves] for x in xs]
            axes.plot(
                xs, [fmean(y) for y in ys], color=f"C{place % 10}", lw=1, ls="-" if place < 10 else "--", label=row
            )
            axes.fill_between(xs, [min(y) for y in ys], [max(y) for y in ys], color=f"C{place % 10}", alpha=0.2, lw=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(axis.strip("_"), fontsize=6)
    elif panel["viewType"] == "Bar Chart":
        (key,) = config["metrics"]
        means = {row: fmean(run.summary[key] for run in seeds) for row, seeds in by_row(runs)}
        axes.barh(list(means), list(means.values()), color=[f"C{place % 10}" for place in range(len(means))])
        axes.invert_yaxis()
    else:
        (key,) = config["mediaKeys"]
        run = runs[-1]
        pictures = {of_picture(title): file for row in run.history for title, file in row.panels.items()}
        axes.imshow(plt.imread(run.folder / pictures[key]))
        axes.set_xlabel(f"{run.row}, last epoch; W&B shows all runs and epochs", fontsize=6)
        axes.set_xticks([])
        axes.set_yticks([])


def save(figure: Figure, path: Path) -> None:
    """Save a figure as a small file."""
    content = io.BytesIO()
    figure.savefig(content, bbox_inches="tight", pad_inches=0.05)
    Image.open(content).convert("RGB").quantize(256).save(path, optimize=True)


def draw_workspace(title: str, sections: Sequence[Mapping[str, Any]], runs: Sequence[Sent], path: Path) -> None:
    """Draw the first panels of the chosen sections."""
    chosen = [(one["name"], one["panels"][: SHOWN[one["name"]]]) for one in sections if one["name"] in SHOWN]
    figure = plt.figure(figsize=(11, 12), dpi=90, layout="constrained")
    lines = [-(-len(panels) // COLUMNS) for _, panels in chosen]
    parts = figure.subfigures(len(chosen), 1, height_ratios=[0.35 + line for line in lines])
    for part, (name, panels), line in zip(parts, chosen, lines, strict=True):
        part.suptitle(name, fontsize=10, fontweight="bold", x=0.01, ha="left")
        wide = len(panels) == 1
        grid = part.subplots(line, 1 if wide else COLUMNS, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            draw(axes, panel, runs)
    handles, labels = parts[1].axes[0].get_legend_handles_labels()
    parts[1].legend(handles, labels, loc="outside lower center", ncols=6, fontsize=6, frameon=False)
    figure.suptitle(f"{title}   ({NOTE})", fontsize=9)
    save(figure, path)


def draw_report(title: str, text: str, path: Path) -> None:
    """Draw the beginning of the report: its table and what stands above it."""
    lines = text.replace("\\_", "_").splitlines()
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("|")]
    head, body = cells[0], cells[2:]
    above = [line.replace("**", "") for line in lines[: lines.index(next(line for line in lines if line[:1] == "|"))]]
    figure, axes = plt.subplots(figsize=(13, 3.9), dpi=90)
    axes.axis("off")
    width = max(map(len, (head, *body)))
    table = axes.table(
        [row + [""] * (width - len(row)) for row in body], colLabels=head, loc="lower center", cellLoc="center"
    )
    table.auto_set_font_size(False)
    table.set_fontsize(7)
    table.auto_set_column_width(range(width))
    axes.text(
        0, 1.06, "\n".join(line.lstrip("# ") for line in above if line), fontsize=8, va="top", transform=axes.transAxes
    )
    figure.suptitle(f"{title}   ({NOTE})", fontsize=9)
    save(figure, path)


settings = load_settings()
runs = Catalogue(experiments_folder(settings)).runs("table3", "demo")
dashboard = table_dashboard(runs, settings.root, build_report(runs, settings.root))
workspace, report = (view(dashboard, settings.wandb_project) for view in (workspace_view, report_view))
found = [sent(RunDirectory(settings.root, run.id), run.row.id) for run in runs]
sections = json.loads(workspace.spec)["section"]["panelBankConfig"]["sections"]
draw_workspace(workspace.title, sections, found, HERE / "dashboard.png")
(markdown,) = [block["content"] for block in json.loads(report.spec)["blocks"] if block["type"] == "markdown-block"]
draw_report(report.title, markdown, HERE / "dashboard-report.png")
