"""board: the report's pages in a browser, refreshed while runs are training."""

from typing import Annotated

import typer

from rdc_sweeps import api
from rdc_sweeps.cli.console import data, say
from rdc_sweeps.cli.options import (
    CompatOption,
    ExperimentsOption,
    ProfileOption,
    RootOption,
    SeedsOption,
    SetOption,
    open_catalogue,
    resolve,
)
from rdc_sweeps.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(board)


def board(
    tables: Annotated[
        list[str] | None,
        typer.Argument(metavar="TABLE...", help="Names of tables; default: those with runs.", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of this machine; 0: any free one.")] = 0,
    profile: ProfileOption = None,
    seeds: SeedsOption = None,
    assignments: SetOption = None,
    compat: CompatOption = None,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
) -> None:
    """Show tables in a browser, refreshed while runs are training.

    The pages are those of `report --format html`. They are served to this machine alone, until Ctrl-C; nothing is
    written.
    """
    names = tables or open_catalogue(load_settings(profile=profile, root=root, experiments=experiments)).tables
    found = [
        resolve(table, None, seeds, assignments, compat, profile=profile, root=root, experiments=experiments)
        for table in names
    ]
    if not tables:
        # Of no table at all: what could be trained.
        found = [one for one in found if any((one.settings.root / run.id).is_dir() for run in one.runs)] or found
    from rdc_sweeps.web.server import BoardServer, LiveSite

    with BoardServer(LiveSite(api.open_site(found, live=True)), port) as server:
        data.print(server.address)
        data.file.flush()
        say("open it in a browser on this machine; Ctrl-C ends it")
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            say("ended")
