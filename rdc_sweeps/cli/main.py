"""The `rdc-sweep` command: its subcommands, loaded when called, and the exit codes of errors."""

import errno
import sys
import traceback
from dataclasses import dataclass
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rdc_sweeps.cli.console import messages
from rdc_sweeps.errors import RdcError, UsageError
from rdc_sweeps.processes.garbage import lasting_imports
from rdc_sweeps.processes.signals import INTERRUPTED, KEPT, sigterm_interrupts

DEBUG = "--debug"
"""May stand anywhere among the arguments."""

# Typer brings its own copy of click and exports only some of its exceptions; this is the base of all usage errors.
CommandLineError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


@dataclass(frozen=True)
class Entry:
    """An entry in the list of commands."""

    name: str
    module: str
    """Module of `rdc_sweeps.cli` that registers the command."""
    summary: str = ""
    """First line of its help; empty for commands that only jobs call, which are hidden."""


ENTRIES = (
    Entry("tables", "experiments", "Show the tables, their rows, published numbers and run states."),
    Entry("validate", "experiments", "Check all specs and report every problem at once."),
    Entry("schema", "schema", "Print the JSON Schema of a kind of file, or of JSON output."),
    Entry("config", "experiments", "Show all settings with their values."),
    Entry("run", "runs", "Train the rows of a table that are not done yet."),
    Entry("worker", "runs"),
    Entry("prepare", "runs"),
    Entry("show", "runs", "Show the spec, state and results of one run."),
    Entry("status", "status", "Show runs with state, progress, time left, metrics and errors."),
    Entry("board", "live_board", "Show tables in a browser, refreshed while runs are training."),
    Entry("logs", "control", "Show the output of a run's workers."),
    Entry("cancel", "control", "Stop runs that have not ended; `run` resumes them."),
    Entry("report", "reports", "Report tables: published and measured results side by side."),
    Entry("compare", "compare", "Compare runs or rows: specs, metrics, curves and single images."),
    Entry("figures", "figures", "Draw predictions, errors, regions, curves and classes of runs."),
    Entry("claims", "reports", "Put the paper's claims to the test: measured and published."),
    Entry("probe", "probe", "Measure what the cross-task term of a run looks at."),
    Entry("dashboard", "dashboard", "Create or update a saved workspace and a report at W&B."),
    Entry("sync", "tracking", "Upload tracked runs to W&B; safe to repeat."),
    Entry("notify", "notify", "Send due notifications of ended, failed and stalled sweeps."),
    Entry("tune", "tune", "Tune a row over trials, and test the best one on test images."),
    Entry("study-worker", "tune"),
    Entry("doctor", "doctor", "Check this machine: GPUs, Slurm, disks, data, W&B, weights."),
    Entry("data", "data", "Import, check and pack data sets."),
    Entry("regions", "regions", "Compute and describe region maps."),
)


def load_command(entry: Entry) -> Any:
    """Import a command's module and its dependencies, and build the command."""
    app = typer.Typer(rich_markup_mode=None)
    with lasting_imports():
        module = import_module(f"rdc_sweeps.cli.{entry.module}")
    module.register(app)
    return typer.main.get_group(app).commands[entry.name]


class LazyGroup(TyperGroup):
    """Commands that are imported when called; before that, only names and summaries are known."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that is called."""
        for entry in ENTRIES:
            if entry.name == args[0]:
                self.commands[entry.name] = load_command(entry)
        return super().resolve_command(ctx, args)


def _options(
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Options of all commands."""


def commands() -> typer.Typer:
    """Build the command line with all its commands."""
    app = typer.Typer(
        cls=LazyGroup,
        help="Train, track and report the tables of Region-aware Distribution Contrast.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for entry in ENTRIES:
        app.command(entry.name, help=entry.summary, hidden=not entry.summary)(lambda: None)
    return app


def main() -> None:
    """Run the command line, and exit."""
    # A terminal or file that cannot show a character gets its code instead.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    arguments = [one for one in sys.argv[1:] if one != DEBUG]
    try:
        with sigterm_interrupts():
            code = commands()(arguments, standalone_mode=False)
        if code == INTERRUPTED:
            # Typer returns it instead of raising.
            raise KeyboardInterrupt
    except CommandLineError as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        messages.print(KEPT)
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe. Nothing more can be written, not even at exit.
        sys.stdout = None
        code = 1
    except Exception as error:
        if DEBUG in sys.argv:
            traceback.print_exc()
        explained = error if isinstance(error, RdcError) else explanation(error)
        messages.print(f"error: {explained}", style="red")
        code = explained.exit_code
    sys.exit(code or 0)


def explanation(error: Exception) -> RdcError:
    """What the user can do about an error of Python or of another package."""
    match error:
        case OSError(errno=errno.ENOTDIR | errno.EISDIR | errno.ENAMETOOLONG | errno.ELOOP | errno.EEXIST):
            return UsageError(f"{_described(error)}; choose another name or folder")
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return RdcError(f"{_described(error)}; free some space, and repeat the command")
        case OSError(errno=errno.EACCES | errno.EPERM | errno.EROFS):
            return RdcError(f"{_described(error)}; you need permission for it, or another folder")
        case OSError():
            return RdcError(f"{_described(error)}; repeat the command once the disk or network is well")
        case MemoryError():
            return RdcError("out of memory; ask for less at once")
        case RecursionError():
            return UsageError("a value is nested too deeply")
        case UnicodeError():
            return UsageError(f"a text is not UTF-8: {error}")
    return RdcError(
        f"{type(error).__name__}: {error}\nThis is a defect of rdc-sweep; with {DEBUG} it shows the traceback, which "
        "belongs in a report of it"
    )


def _described(error: OSError) -> str:
    return ": ".join(str(part) for part in (error.filename, error.strerror) if part) or str(error)
