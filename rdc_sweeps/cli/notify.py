"""notify: send the notifications that are due."""

import time
from pathlib import Path
from typing import Annotated

import typer

from rdc_sweeps.cli.console import say
from rdc_sweeps.cli.options import RootOption
from rdc_sweeps.errors import UnavailableError, UsageError
from rdc_sweeps.settings import Settings, load_settings, read_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(notify)


def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a message by every channel now.")] = False,
    watch: Annotated[
        float | None, typer.Option(min=1.0, metavar="SECONDS", help="Repeat at this interval.", show_default=False)
    ] = None,
    root: RootOption = None,
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="JSON file that replaces all other settings.", hidden=True)
    ] = None,
) -> None:
    """Send due notifications of ended, failed and stalled sweeps."""
    settings = read_settings(settings_file) if settings_file else load_settings(root=root)
    if not settings.notify.active:
        raise UsageError(
            "no notifications are set up: in rdc-sweep.toml, under [notify], set wandb = true, command or webhook_file"
        )
    if test:
        _test(settings)
        return
    while watch is not None:
        try:
            _pass(settings)
        except UnavailableError as error:
            say(str(error), style="red")
        time.sleep(watch)
    _pass(settings)


def _pass(settings: Settings) -> None:
    from rdc_sweeps.notifications.passes import notify as send

    done = send(settings.root, settings.notify)
    for line in done.sent:
        say(f"sent: {line}")
    for line in done.problems:
        say(line, style="red")
    if done.problems:
        raise UnavailableError(f"{len(done.problems)} notifications were not sent")


def _test(settings: Settings) -> None:
    from rdc_sweeps.monitoring.groups import RunsFolder
    from rdc_sweeps.notifications.channels import channels
    from rdc_sweeps.notifications.messages import Message

    runs = tuple(one.run for one in RunsFolder(settings.root).subjects())
    message = Message("test", "ended", "a test", "rdc-sweep: a test", "Notifications of rdc-sweep arrive here.", runs)
    failed = 0
    for channel in channels(settings.notify, settings.root):
        problem = channel.send(message, settings.notify.timeout)
        failed += problem is not None
        say(f"{channel.name}: {problem or 'sent'}", style="red" if problem else None)
    if failed:
        raise UnavailableError(f"{failed} channels failed")
