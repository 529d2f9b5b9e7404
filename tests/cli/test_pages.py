"""report --format html writes pages, and board serves them."""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from rdc_sweeps.specs.catalogue import Catalogue
from tests.cli.conftest import Inside
from tests.cli.test_main import imported
from tests.runs.writing import write_status


def test_the_pages_of_tables_are_written_and_their_place_is_said(inside: Inside, tmp_path: Path) -> None:
    done = inside("report", "tiny", "--format", "html", "-o", "pages")
    assert (done.code, done.out) == (0, "pages/index.html\n")
    assert (tmp_path / "pages" / "index.html").as_uri() in done.err.replace("\n", "")
    assert {path.name for path in (tmp_path / "pages").iterdir()} >= {"index.html", "tiny.html", "plotly.min.js"}
    (record,) = json.loads((tmp_path / "pages" / "report.json").read_text())["tables"]
    assert [row["id"] for row in record["rows"]] == ["mtl", "ours"]
    assert inside("report", "tiny", "--format", "html", "-o", "pages", "--strict").code == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tiny", "--format", "html"), "name one with --output"),
        (("tiny", "-o", "pages"), "name one with --output"),
        (("tiny", "tiny", "--format", "csv"), "--format csv has one table at a time"),
        (("tiny", "tiny", "--format", "html", "-o", "pages"), "tiny: named twice"),
        (("tiny", "--format", "html", "-o", "experiments"), "experiments: holds other files than a report"),
    ],
)
def test_what_cannot_be_written_is_refused(inside: Inside, arguments: tuple[str, ...], message: str) -> None:
    refused = inside("report", *arguments)
    assert refused.code == 2
    assert message in " ".join(refused.err.split())
    assert refused.out == ""


def test_several_tables_are_printed_one_after_the_other(inside: Inside) -> None:
    assert inside("report", "tiny", "tiny", "--format", "markdown").out.count("## tiny: Two small rows") == 2


@pytest.mark.slow
def test_the_board_serves_until_it_is_interrupted_and_writes_nothing(
    environment: dict[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from rdc_sweeps.runs.directory import RunDirectory
    from rdc_sweeps.runs.records import Status

    run = Catalogue(tmp_path / "experiments").runs("tiny", "small")[0]
    status = Status.of_this_process("training").model_copy(update={"epoch": 1, "epochs": 4, "step": 1, "steps": 4})
    write_status(RunDirectory(tmp_path / "runs", run.id), status)
    messages = tmp_path_factory.mktemp("messages") / "stderr"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    command = [sys.executable, "-B", "-m", "rdc_sweeps", "board"]
    variables = {**environment, "PYTHONPROFILEIMPORTTIME": "1"}
    with messages.open("w") as said:
        board = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, env=variables, cwd=tmp_path)
        assert board.stdout is not None
        try:
            address = board.stdout.readline().strip()
            with urllib.request.urlopen(f"{address}tiny.html", timeout=60) as answer:
                page = answer.read().decode()
            board.send_signal(signal.SIGINT)
            board.wait(timeout=60)
        finally:
            board.kill()
            board.communicate()
    assert "1 of 4 epochs" in page
    assert board.returncode == 0, messages.read_text()
    assert "Traceback" not in messages.read_text()
    assert not imported(messages.read_text()) & {"torch", "wandb", "optuna", "matplotlib", "plotly"}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
