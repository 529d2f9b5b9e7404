"""The reference of the command line, from the commands themselves."""

from collections.abc import Iterator
from typing import Any

from rdc_sweeps.cli.main import ENTRIES, load_command
from website.tables import table

PROGRAM = "rdc-sweep"


def command_page() -> str:
    """The page as Markdown: usage, arguments and options of each command that is not hidden."""
    parts = [
        "# Commands\n\nGenerated from the commands; `rdc-sweep COMMAND --help` prints the same. Data are written to "
        "standard output, messages to standard error. [Running](../running.md#exit-codes) lists the exit codes. All "
        "commands take `--debug`, which shows the traceback of an error.\n"
    ]
    for name, command in shown_commands():
        context = command.make_context(name, [], resilient_parsing=True)
        usage = " ".join([PROGRAM, name, *command.collect_usage_pieces(context)])
        parts.append(f"## {name}\n\n{command.help}\n\n    {usage}\n")
        rows = [record for one in command.get_params(context) if (record := one.get_help_record(context))]
        if rows:
            parts.append(table(("argument or option", "meaning"), [(f"`{names}`", text) for names, text in rows]))
    return "\n".join(parts)


def shown_commands() -> Iterator[tuple[str, Any]]:
    """Names and commands that are not hidden; of a group its members, such as `regions build`."""
    for entry in ENTRIES:
        if entry.summary:
            yield from _members(entry.name, load_command(entry))


def _members(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    members = getattr(command, "commands", None)
    if not members:
        yield name, command
    for inner, member in (members or {}).items():
        yield from _members(f"{name} {inner}", member)
