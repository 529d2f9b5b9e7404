"""Every command and option that a page names exists, and every command that it shows is accepted."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from rdc_sweeps.cli.main import DEBUG, CommandLineError, load_command
from rdc_sweeps.cli.main import ENTRIES as COMMANDS
from rdc_sweeps.settings import PREFIX, Settings
from rdc_sweeps.specs.fields import has_path
from rdc_sweeps.specs.run import RunSpec
from tests.docs.pages import ROOT, Command, blocks, commands, inline_code, synopses

FOREIGN = {
    "--array": "an option of sbatch",
    "--include-online": "an option of `wandb sync`",
    "--simulate": "an option of `python -m benchmarks.models.memory`",
    "--nyuv2": "an option of `python -m benchmarks.data`",
    "--depth-step": "an option of `python -m benchmarks.data`",
}
"""Options of other programs that pages mention."""

VARIABLES = {
    **{
        f"RDC_NOTIFY_{name}": "commands of notifications find it in their environment"
        for name in ("TITLE", "OCCASION", "ABOUT", "RUNS")
    },
    "RDC_SHARED": "tests on real images",
    "RDC_REQUIRE_SLURM": "tests",
    "RDC_REQUIRE_POSTGRES": "tests",
    "RDC_REQUIRE_LATEX": "tests",
    "RDC_WRITE_GOLDENS": "tests",
}
"""Environment variables that are no settings."""

OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")


def loaded() -> dict[str, Any]:
    """All commands by name, those of groups as `regions build`."""

    def leaves(name: str, command: Any) -> dict[str, Any]:
        inner = getattr(command, "commands", None)
        if inner is None:
            return {name: command}
        return {path: one for key, child in inner.items() for path, one in leaves(f"{name} {key}", child).items()}

    return {path: one for entry in COMMANDS for path, one in leaves(entry.name, load_command(entry)).items()}


LOADED = loaded()


def options(command: Any) -> set[str]:
    """The options of a command."""
    return {
        name
        for parameter in command.params
        for name in [*parameter.opts, *parameter.secondary_opts]
        if name.startswith("-")
    } | {"--help", "-h", DEBUG}


ALL_OPTIONS = set().union(*map(options, LOADED.values()))


def named(arguments: list[str]) -> tuple[str, Any, list[str]]:
    """Name and command of a line after `rdc-sweep`, and the rest of the line."""
    for length in (3, 2, 1):
        name = " ".join(arguments[:length])
        if name in LOADED:
            return name, LOADED[name], arguments[length:]
    raise KeyError(f"rdc-sweep has no command {arguments[0]!r}; there are {', '.join(LOADED)}")


def refusal(command: Command) -> str | None:
    """Why `rdc-sweep` would refuse this command line before doing anything."""
    try:
        name, found, rest = named([one for one in command.arguments[1:] if one != DEBUG])
        found.make_context(name, rest)
    except KeyError as error:
        return str(error.args[0])
    except CommandLineError as error:
        return str(error.format_message())
    return None


def of_program(program: str) -> list[Command]:
    """The commands of one program that pages show."""
    return [command for command in commands() if command.arguments[0] == program]


def test_commands_that_are_shown_are_accepted() -> None:
    shown = of_program("rdc-sweep")
    assert len(shown) > 30
    problems = [f"{command}: {why}" for command in shown if (why := refusal(command))]
    assert not problems, "\n".join(["correct these commands:", *problems])


def test_a_wrong_command_is_recognised() -> None:
    assert refusal(Command("", "rdc-sweep report table3 --fromat json")) is not None
    assert refusal(Command("", "rdc-sweep repot table3")) is not None
    assert refusal(Command("", "rdc-sweep regions build --shard")) is not None
    assert refusal(Command("", "rdc-sweep probe")) is not None
    assert refusal(Command("", "rdc-sweep regions build table3")) is None


def in_synopses() -> Iterator[tuple[str, str, str]]:
    for entry in synopses():
        names = re.match(r"rdc-sweep ((?:[a-z-]+(?:, | )?)+)", entry.text)
        assert names, entry
        for name in names[1].strip().split(", "):
            yield entry.place, name.strip(), entry.text


def test_options_of_synopses_exist() -> None:
    problems = []
    for place, name, text in in_synopses():
        try:
            name, command, _ = named(name.split())
        except KeyError as error:
            problems.append(f"{place}: {error.args[0]}")
            continue
        # A summary may mention another command's option; what stands before it may not.
        wrong = set(OPTION.findall(text)) - options(command)
        problems += [f"{place}: {name} has no {option}; it has {sorted(options(command))}" for option in sorted(wrong)]
    assert not problems, "\n".join(["correct these synopses:", *problems])


def test_commands_and_options_in_the_text_exist() -> None:
    problems = []
    for place, code in inline_code():
        if code.startswith("rdc-sweep "):
            name = code.split()[1]
            if re.fullmatch(r"[a-z-]+", name) and not any(one.split()[0] == name for one in LOADED):
                problems.append(f"{place}: `{code}`: there is no such command")
        words = code.split()
        if words and (words[0].startswith("-") or words[0] in {"rdc-sweep", *(one.split()[0] for one in LOADED)}):
            wrong = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", code)) - ALL_OPTIONS - FOREIGN.keys()
            problems += [f"{place}: `{code}`: no command has {option}" for option in sorted(wrong)]
    assert not problems, "\n".join(["correct these (options of other programs: FOREIGN in this file):", *problems])


def test_settings_in_pages_exist() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | VARIABLES.keys()
    texts = [*inline_code(), *((str(block.page.relative_to(ROOT)), block.text) for block in blocks())]
    named = [(place, name) for place, text in texts for name in re.findall(r"\bRDC_[A-Z_0-9]*[A-Z0-9]\b", text)]
    assert len(named) > 10
    wrong = [f"{place}: {name}" for place, name in named if name not in known]
    assert not wrong, "\n".join([f"there are no such settings; there are {sorted(known)}", *wrong])


def test_settings_files_in_pages_are_valid() -> None:
    files = [
        block
        for block in blocks()
        if "rdc-sweep.toml" in block.text and re.search(r"^\w+ = |^\[", block.text, re.MULTILINE)
    ]
    assert len(files) > 2
    for block in files:
        names = tomllib.loads(block.text).keys()
        wrong = names - Settings.model_fields.keys()
        assert not wrong, f"{block.page.name}:{block.line}: no such settings: {sorted(wrong)}"


def test_fields_in_pages_exist() -> None:
    wrong = []
    for place, code in inline_code():
        if place.startswith("CHANGELOG") or "a.b" in code or code.endswith(".py"):
            continue  # Earlier fields, placeholders and files.
        found = re.match(r"(?:--set )?((?:dataset|labels|backbone|method|training)(?:\.[a-z_0-9]+)+)(?:[=:].*)?$", code)
        if found and not has_path(RunSpec, found[1].split(".")):
            wrong.append(f"{place}: `{code}`")
    assert not wrong, "\n".join(["runs have no such fields (`rdc-sweep schema run` lists them):", *wrong])


def test_extras_that_are_installed_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    shown = [(command, name) for command in of_program("pip") for name in re.findall(r"\.\[([\w,]+)\]", command.text)]
    assert shown
    wrong = [f"{command}" for command, names in shown if not set(names.split(",")) <= extras.keys()]
    assert not wrong, f"pyproject.toml has the extras {sorted(extras)}"


@pytest.mark.parametrize("program", ["make", "python"])
def test_targets_and_modules_exist(program: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = of_program(program)
    assert shown
    for command in shown:
        match command.arguments[1:]:
            case ["-m", module, *_]:
                path = ROOT / module.replace(".", "/")
                assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), command
            case [name, *_] if program == "make":
                assert name in targets, f"{command}: the Makefile has {sorted(targets)}"
            case [name, *_]:
                assert (ROOT / name).is_file(), command
