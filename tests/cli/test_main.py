import pytest

from rdc_sweeps.cli.main import ENTRIES, Entry, load_command
from tests.cli.conftest import Cli

HEAVY = {"torch", "wandb", "optuna", "numpy", "pydantic_settings", "yaml", "submitit", "matplotlib", "rich.progress"}


def imported(stderr: str) -> set[str]:
    """Modules in the output of PYTHONPROFILEIMPORTTIME."""
    return {line.rpartition("|")[2].strip() for line in stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_list_says_of_each_command_what_its_own_help_says(entry: Entry) -> None:
    command = load_command(entry)
    assert command.hidden == (not entry.summary)
    if entry.summary:
        assert command.help.splitlines()[0] == entry.summary


def test_all_commands_are_listed_in_full(cli: Cli) -> None:
    shown = cli("--help", COLUMNS="80")
    assert shown.returncode == 0, shown.stderr
    lines = [line.split(maxsplit=1) for line in shown.stdout.partition("Commands:")[2].strip().splitlines()]
    assert lines == [[entry.name, entry.summary] for entry in ENTRIES if entry.summary]


def test_help_imports_neither_specs_nor_anything_heavy(cli: Cli) -> None:
    found = imported(cli("--help", PYTHONPROFILEIMPORTTIME="1").stderr)
    assert "typer" in found
    assert not found & HEAVY
    ours = {name for name in found if name.startswith("rdc_sweeps.")}
    assert ours == {
        "rdc_sweeps.cli", "rdc_sweeps.cli.main", "rdc_sweeps.cli.console", "rdc_sweeps.errors", "rdc_sweeps.processes",
        "rdc_sweeps.processes.garbage", "rdc_sweeps.processes.signals", "rdc_sweeps.texts",
    }  # fmt: skip


@pytest.mark.parametrize("arguments", [("tables",), ("run", "tiny", "--dry-run"), ("validate",), ("status",)])
def test_looking_at_experiments_needs_no_torch(cli: Cli, arguments: tuple[str, ...]) -> None:
    found = imported(cli(*arguments, PYTHONPROFILEIMPORTTIME="1").stderr)
    assert "rdc_sweeps.settings" in found
    assert not found & {"torch", "wandb", "optuna", "numpy", "submitit", "matplotlib"}


def test_an_unknown_command_is_a_usage_error_with_a_suggestion(cli: Cli) -> None:
    refused = cli("tabels")
    assert refused.returncode == 2
    assert "Did you mean 'tables'?" in refused.stderr
