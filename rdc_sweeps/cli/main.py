"""The `rdc-sweep` command: its groups, and how errors become exit codes."""

import sys

import click
import typer

from rdc_sweeps.cli import experiments, regions, reports, runs
from rdc_sweeps.cli.console import messages
from rdc_sweeps.errors import RdcError

INTERRUPTED = 130

app = typer.Typer(
    help="Train, track and report the tables of Region-aware Distribution Contrast.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (experiments, runs, reports, regions):
    module.register(app)


def main() -> None:
    """Run the command line; ends the process."""
    try:
        code = app(standalone_mode=False)
    except click.UsageError as error:
        error.show()
        code = error.exit_code
    except click.exceptions.Abort:
        code = INTERRUPTED
    except click.exceptions.Exit as end:
        code = end.exit_code
    except KeyboardInterrupt:
        messages.print("interrupted")
        code = INTERRUPTED
    except RdcError as error:
        messages.print(f"error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        code = error.exit_code
    except BrokenPipeError:
        code = 1
    sys.exit(code or 0)
