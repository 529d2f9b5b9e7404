"""Text from files, folders and studies is printed as text by every command and in every format."""

import csv
import io
import json
from pathlib import Path

import pytest
import yaml

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.records import Failure, Origin, Status
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.texts import csv_cell, markdown, visible
from tests.cli.conftest import Cli, Inside

HOSTILE = "[old] [/b] [red] :smile: \x1b[31m\x1b]0;owned\x07 \x9b2J \u202e | <script> =1+1"
WRITTEN = "[old] [/b] [red] :smile: \u241b[31m"


@pytest.fixture
def root(tmp_path: Path, experiments: Path, inside: Inside, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder whose name, titles, causes, hosts and studies are hostile."""
    path = experiments / "tiny.yaml"
    table = yaml.safe_load(path.read_text())
    table["title"], table["rows"][0]["method"], table["rows"][0]["notes"] = HOSTILE, f"={HOSTILE}", HOSTILE
    path.write_text(yaml.safe_dump(table))
    root = tmp_path / "[old] [/b]"
    monkeypatch.setenv("RDC_SWEEP_ROOT", str(root))
    runs = Catalogue(experiments).runs("tiny", "small")
    for run, study in zip(runs, (None, HOSTILE), strict=True):
        directory = RunDirectory(root, run.id)
        request_run(directory, run.spec, Origin(table=HOSTILE, row=HOSTILE, profile=HOSTILE, study=study, trial=3))
        with acquire(directory) as owned:
            owned.write_status(Status.of_this_process("failed").model_copy(update={"host": HOSTILE, "device": HOSTILE}))
            owned.write_failure(Failure(cause=HOSTILE, traceback=HOSTILE, time=0, host=HOSTILE))
    return root


STUDY = {
    "study": "example",
    "table": "tiny",
    "row": "ours",
    "space": {"method.weight": {"uniform": [0.1, 1]}},
}


def test_no_command_obeys_what_it_prints(root: Path, inside: Inside, tmp_path: Path) -> None:
    run = next(path.name for path in root.iterdir() if path.is_dir())
    study = str(tmp_path / "example.yaml")
    Path(study).write_text(yaml.safe_dump({**STUDY, "title": HOSTILE}))
    commands = [
        ["tables"], ["tables", "tiny"], ["config"], ["validate"], ["run", "tiny", "-n"], ["run", "tiny"], ["show", run],
        ["status"], ["status", "tiny"], ["status", "--study", HOSTILE], ["status", "--study", "[/b]"], ["logs", run],
        ["cancel", "tiny"], ["report", "tiny"], *(["report", "tiny", "--format", form] for form in ("markdown", "csv")),
        ["claims"], ["claims", "tiny", "--format", "markdown"],
        ["tune", study, "-n"], ["tune", study, "--report"], ["probe", run], ["sync"], ["schema", "table"], ["doctor"],
        ["regions", "build", "tiny"], ["figures", run], ["figures", "tiny"], ["compare", "tiny/mtl", "tiny/ours"],
        ["compare", run, "tiny/ours", "-o", HOSTILE.replace("/", "")], ["compare", HOSTILE, run],
    ]  # fmt: skip
    shown = ""
    for arguments in commands:
        answer = inside(*arguments)
        assert "Traceback" not in answer.err
        assert answer.code in {0, 1, 2, 5}, (arguments, answer.err)
        for text in (answer.out, answer.err):
            assert not set(text) & set("\x1b\x07\x9b\u202e"), arguments
        shown += answer.out + answer.err
    assert WRITTEN in shown.replace("\n", " ")
    assert "[old] [/b]" in inside("config").out


def test_json_keeps_the_text(root: Path, inside: Inside) -> None:
    for arguments in (["status"], ["tables"], ["config"], ["run", "tiny", "-n"]):
        answer = inside(*arguments, "--json")
        assert "\x1b" not in answer.out
        assert json.loads(answer.out)
    runs = [run for group in json.loads(inside("status", "--json").out) for run in group["runs"]]
    assert {(run["table"], run["cause"], run["host"]) for run in runs} == {(HOSTILE, HOSTILE, HOSTILE)}
    assert json.loads(inside("report", "tiny", "--format", "json").out)["title"] == HOSTILE


def test_no_cell_is_a_formula(root: Path, inside: Inside) -> None:
    rows = list(csv.reader(io.StringIO(inside("report", "tiny", "--format", "csv").out)))
    assert not [cell for row in rows for cell in row if cell.startswith("=")]
    assert any(cell.startswith("'=[old]") for row in rows for cell in row)


def test_a_terminal_that_is_not_utf_8_is_no_reason_to_fail(root: Path, cli: Cli) -> None:
    answer = cli("report", "tiny", PYTHONIOENCODING="ascii", RDC_SWEEP_ROOT=str(root))
    assert answer.returncode == 0, answer.stderr
    assert "\\u241b[31m" in answer.stdout


def test_texts() -> None:
    assert visible("a\tb\nc\x1b\x07\x7f") == "a\tb\nc\u241b\u2407\ufffd"
    assert [csv_cell(text) for text in ("=1", "+1", "-1", "@a", "a=1", "")] == ["'=1", "'+1", "'-1", "'@a", "a=1", ""]
    assert markdown("a|b\n<c>_\x1b") == "a\\|b \\<c>\\_\u241b"
