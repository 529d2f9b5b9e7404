"""The `rdc-sweep` command: its groups, and how errors become exit codes."""

import sys
from typing import Any

import typer

from rdc_sweeps.cli.console import messages
from rdc_sweeps.errors import RdcError

INTERRUPTED = 130

# Typer brings its own copy of click and exports only some of its exceptions; this is the base of all usage errors.
CommandLineError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


def commands() -> typer.Typer:
    """The command line with its groups."""
    # Imported here and not above: specs load the extensions of other packages, whose errors `main` reports.
    from rdc_sweeps.cli import (
        control,
        doctor,
        experiments,
        regions,
        reports,
        runs,
        status,
        study_workers,
        tracking,
        tune,
    )

    app = typer.Typer(
        help="Train, track and report the tables of Region-aware Distribution Contrast.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module in (experiments, runs, status, control, reports, regions, tracking, tune, study_workers, doctor):
        module.register(app)
    return app


def main() -> None:
    """Run the command line; ends the process."""
    try:
        code = commands()(standalone_mode=False)
    except CommandLineError as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        messages.print("interrupted; what was done is kept")
        code = INTERRUPTED
    except RdcError as error:
        messages.print(f"error: {error}", style="red", highlight=False, markup=False)
        code = error.exit_code
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Nothing more may be written, not even at exit.
        sys.stdout = None
        code = 1
    sys.exit(code or 0)
