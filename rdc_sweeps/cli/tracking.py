"""sync: upload tracked runs to W&B."""

import time
from typing import Annotated

import typer

from rdc_sweeps.cli.console import messages
from rdc_sweeps.cli.options import RootOption, find_run
from rdc_sweeps.errors import DamagedError, RunLockedError, UnavailableError, UsageError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings, load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(sync)


def sync(
    run_ids: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of runs, or the first digits of ids; default: all.", show_default=False),
    ] = None,
    watch: Annotated[
        float | None, typer.Option(min=1.0, metavar="SECONDS", help="Repeat at this interval.", show_default=False)
    ] = None,
    root: RootOption = None,
) -> None:
    """Upload tracked runs to W&B; safe to repeat.

    For runs in progress, everything recorded so far is uploaded.
    """
    settings = load_settings(root=root)
    from rdc_sweeps.tracking.mode import require_key

    require_key()
    named = [find_run(settings, run_id) for run_id in run_ids or ()]
    while watch is not None:
        try:
            _send(named or _tracked(settings), again=False)
        except UnavailableError as error:
            messages.print(f"{error}", style="red", markup=False, highlight=False)
        time.sleep(watch)
    directories = named or _tracked(settings)
    if not directories:
        raise UsageError(f"no tracked runs in {settings.root}")
    _send(directories, again=bool(named))


def _tracked(settings: Settings) -> list[RunDirectory]:
    """Runs whose tracking has begun."""
    from rdc_sweeps.tracking.identity import IDENTITY

    folders = sorted(path.parents[1] for path in settings.root.glob(f"*/wandb/{IDENTITY}"))
    return [RunDirectory(settings.root, folder.name) for folder in folders]


def _send(directories: list[RunDirectory], *, again: bool) -> None:
    """Upload each run and print the outcome; `again` also checks runs that are known to be at W&B.

    Raises:
        UnavailableError: Some runs were not uploaded.
    """
    from rdc_sweeps.tracking.supervisor import is_sent, upload

    failed = known = 0
    for directory in directories:
        in_progress = directory.state() == "running"
        if not again and is_sent(directory, in_progress=in_progress):
            known += 1
            continue
        try:
            upload(directory, in_progress=in_progress)
        except RunLockedError as error:
            messages.print(f"{directory.id}: skipped, {error}", markup=False, highlight=False)
        except (UnavailableError, UsageError, DamagedError) as error:
            if again and not isinstance(error, UnavailableError):
                raise
            failed += 1
            messages.print(f"{directory.id}: {error}", style="red", markup=False, highlight=False)
        else:
            how = "in progress, uploaded so far" if in_progress else "uploaded"
            messages.print(f"{directory.id}: {how}", highlight=False)
    if known:
        messages.print(f"{known} runs are already at W&B", highlight=False)
    if failed:
        raise UnavailableError(
            f"{failed} of {len(directories)} runs were not uploaded; run the command again to continue"
        )
