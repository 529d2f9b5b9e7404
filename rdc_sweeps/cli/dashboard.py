"""dashboard: a saved workspace and a report at W&B."""

from pathlib import Path
from typing import Annotated

import typer

from rdc_sweeps.cli.console import data, print_json, say
from rdc_sweeps.cli.options import (
    CompatOption,
    ExperimentsOption,
    JsonOption,
    ProfileOption,
    RootOption,
    SeedsOption,
    SetOption,
    parse_seeds,
)
from rdc_sweeps.errors import UsageError
from rdc_sweeps.files import write_json
from rdc_sweeps.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(dashboard)


def dashboard(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TABLE|STUDY", help="A table or study; default: all that have runs.", show_default=False
        ),
    ] = None,
    profile: ProfileOption = None,
    seeds: SeedsOption = None,
    assignments: SetOption = None,
    compat: CompatOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over one at W&B that shows more finished runs.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Build and check it, and print it as JSON; W&B is not needed.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where --dry-run writes.", show_default=False),
    ] = None,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create or update a saved workspace and a report at W&B."""
    if output is not None and not dry_run:
        raise UsageError("--output is for --dry-run; without it, the dashboard is sent to W&B")
    settings = load_settings(profile=profile, root=root, experiments=experiments)
    from rdc_sweeps.dashboards.targets import named_dashboards
    from rdc_sweeps.dashboards.views import report_view, workspace_view

    found = named_dashboards(target, settings, seeds=parse_seeds(seeds), changes=assignments or (), compat=compat)
    views = [
        (one.title, build.__name__.removesuffix("_view"), build(one, settings.wandb_project))
        for one in found
        for build in (workspace_view, report_view)
    ]
    if dry_run:
        place = {"entity": settings.wandb_entity, "project": settings.wandb_project}
        content = {**place, "views": [view.to_data() for _, _, view in views]}
        if output is None:
            print_json(content)
        else:
            write_json(output, content)
        return
    from rdc_sweeps.dashboards.publishing import publish
    from rdc_sweeps.tracking.mode import require_key
    from rdc_sweeps.tracking.project import open_project

    published = []
    require_key()
    with open_project(settings.wandb_project, settings.wandb_entity) as project:
        for title, what, view in views:
            done = publish(view, project, replace=replace)
            published.append({"title": title, "view": what, "url": done.url, "created": done.created})
            if not as_json:
                say(f"{title}: {what} {'created' if done.created else 'updated'}")
                data.print(done.url, soft_wrap=True)
    if as_json:
        print_json(published)
