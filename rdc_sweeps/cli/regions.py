"""regions: compute region maps."""

import typer

from rdc_sweeps.cli.console import build_progress, say, say_all
from rdc_sweeps.cli.options import (
    DeviceOption,
    ExperimentsOption,
    ProfileOption,
    RowsArgument,
    SetOption,
    TableArgument,
    resolve,
)
from rdc_sweeps.processes.environment import adopt_worker_environment

group = typer.Typer(help="Compute region maps.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group, name="regions")


@group.callback()
def _group() -> None:
    """Compute region maps."""


@group.command()
def build(
    table: TableArgument,
    rows: RowsArgument = None,
    profile: ProfileOption = None,
    assignments: SetOption = None,
    device: DeviceOption = None,
    experiments: ExperimentsOption = None,
) -> None:
    """Compute the region maps of a table's runs; resumes if stopped."""
    resolved = resolve(table, rows, None, assignments, profile=profile, experiments=experiments, device=device)
    runs, settings = resolved.runs, resolved.settings
    say_all(adopt_worker_environment())
    from rdc_sweeps.dispatch.inputs import build_missing_regions, check_regions

    check_regions(runs, settings)
    with build_progress() as report:
        reports = build_missing_regions([run.spec for run in runs], settings, report)
    for title, built in reports.items():
        say(f"{title}: {built.built} built, {built.reused} already stored")
    if not reports:
        say(f"no row of {table} under profile {settings.profile} reads stored regions")
