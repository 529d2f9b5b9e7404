"""sync: hand finished and interrupted runs to W&B."""

from typing import Annotated

import typer

from rdc_sweeps.cli.console import messages
from rdc_sweeps.cli.options import RootOption
from rdc_sweeps.cli.runs import find_run
from rdc_sweeps.errors import UnavailableError, UsageError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(sync)


def sync(
    run_ids: Annotated[
        list[str] | None, typer.Argument(help="Ids of runs, or their first digits; default: all.", show_default=False)
    ] = None,
    root: RootOption = None,
) -> None:
    """Send tracked runs to W&B, as far as W&B lacks them. Harmless to repeat."""
    settings = load_settings(root=root)
    from rdc_sweeps.tracking.mode import has_key
    from rdc_sweeps.tracking.supervisor import upload

    if not has_key():
        raise UnavailableError("W&B has no key here: run `wandb login`, or set WANDB_API_KEY")
    if run_ids:
        directories = [find_run(settings, run_id) for run_id in run_ids]
    else:
        folders = sorted(path.parent for path in settings.root.glob("*/wandb"))
        directories = [RunDirectory(settings.root, folder.name) for folder in folders]
    if not directories:
        raise UsageError(f"no tracked runs in {settings.root}")
    failed = 0
    for directory in directories:
        if directory.state() == "running":
            messages.print(f"{directory.id}: in progress, sends for itself", highlight=False)
            continue
        try:
            upload(directory.folder / "wandb")
        except UnavailableError as error:
            failed += 1
            messages.print(f"{directory.id}: {error}", style="red", markup=False, highlight=False)
        else:
            messages.print(f"{directory.id}: sent", highlight=False)
    if failed:
        raise UnavailableError(f"{failed} of {len(directories)} runs were not sent; the same again continues")
