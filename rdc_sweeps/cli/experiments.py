"""tables, validate, config: show and check experiments and settings."""

from typing import Annotated

import typer
from rich.table import Table

from rdc_sweeps.cli.console import data, messages, print_json
from rdc_sweeps.cli.options import (
    ExperimentsOption,
    JsonOption,
    ProfileOption,
    RootOption,
    SeedsOption,
    open_catalogue,
    parse_seeds,
)
from rdc_sweeps.errors import SpecError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import load_settings
from rdc_sweeps.specs.table import TableSpec


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(tables)
    app.command()(validate)
    app.command()(config)


def tables(
    table: Annotated[str | None, typer.Argument(help="Show only this table.", show_default=False)] = None,
    profile: ProfileOption = None,
    seeds: SeedsOption = None,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the tables, their rows, published numbers and run states."""
    settings = load_settings(profile=profile, root=root, experiments=experiments)
    catalogue = open_catalogue(settings)
    found = []
    specs: dict[str, TableSpec] = {}
    for name in [table] if table else catalogue.tables:
        for run in catalogue.runs(name, settings.profile, seeds=parse_seeds(seeds)):
            specs[name] = run.table
            published = {metric: getattr(run.row.published, metric) for metric in run.table.metrics}
            found.append(
                {
                    "table": name,
                    "row": run.row.id,
                    "method": run.row.method,
                    "seed": run.spec.seed,
                    "profile": settings.profile,
                    "published": published,
                    "run": run.id,
                    "state": RunDirectory(settings.root, run.id).state(),
                }
            )
    if as_json:
        print_json(found)
        return
    for name, spec in specs.items():
        shown = Table(title=f"{name}: {spec.title} ({spec.dataset})", title_justify="left", box=None, pad_edge=False)
        for column in ("row", "seed", *spec.metrics, "run", "state"):
            shown.add_column(column, justify="right" if column in {"seed", *spec.metrics} else "left", no_wrap=True)
        for entry in found:
            if entry["table"] == name:
                numbers = [entry["published"].get(metric) or "-" for metric in spec.metrics]  # type: ignore[attr-defined]
                shown.add_row(entry["row"], str(entry["seed"]), *numbers, entry["run"], entry["state"])  # type: ignore[arg-type]
        data.print(shown)
    states = [str(entry["state"]) for entry in {str(entry["run"]): entry for entry in found}.values()]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    messages.print(
        f"{len(found)} rows, {len(states)} runs under profile {settings.profile}: {counts}. Numbers are published."
    )
    of_paper = [str(entry["run"]) for entry in found if specs[str(entry["table"])].paper]
    if 0 < len(of_paper) < len(found):
        messages.print(f"The paper's tables have {len(of_paper)} of the rows, {len(set(of_paper))} runs.")


def validate(
    table: Annotated[str | None, typer.Argument(help="Check only this table.", show_default=False)] = None,
    experiments: ExperimentsOption = None,
) -> None:
    """Check all specs and report every problem at once."""
    settings = load_settings(experiments=experiments)
    catalogue = open_catalogue(settings)
    names = [table] if table else catalogue.tables
    problems = catalogue.problems(names)
    if problems:
        raise SpecError(problems)
    messages.print(f"{', '.join(names)}: valid under {', '.join(catalogue.profiles)}")


def config(as_json: JsonOption = False) -> None:
    """Show all settings with their values."""
    settings = load_settings()
    values = settings.model_dump(mode="json")
    if as_json:
        print_json(values)
        return
    shown = Table(box=None, pad_edge=False)
    for column in ("setting", "value", "meaning"):
        shown.add_column(column, overflow="fold")
    for name, field in type(settings).model_fields.items():
        shown.add_row(name, str(values[name]) if values[name] is not None else "-", field.description)
    data.print(shown)
