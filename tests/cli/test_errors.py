"""Every error at the command line is a clear line and an exit code; a traceback is only for who asks for it."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import SchemaValidator, core_schema

from rdc_sweeps.cli import main as command_line
from rdc_sweeps.cli.main import explanation
from rdc_sweeps.errors import RdcError
from rdc_sweeps.runs.directory import RunDirectory
from tests.cli.conftest import Inside
from tests.cli.test_status import begin

LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run", "tiny", "--root", "file"], 2, "choose another name or folder"),
        (["run", "tiny", "--root", f"/{LONG}/runs"], 2, "choose another name or folder"),
        (["run", "tiny", "-n", "--root", f"/{LONG}/runs"], 2, "choose another name or folder"),
        (["tune", "covariance", "--profile", "demo", "--study", LONG, "--report"], 2, "no"),
        (["show", LONG], 2, "no run"),
        (["status", LONG], 2, "no table"),
        (["report", "tiny", "--seeds", "0-99999999999"], 2, "at most 10000 seeds"),
        (["report", "tiny", "--seeds", "0-" + "9" * 60], 2, "at most 10000 seeds"),
        (["claims", "tiny", "tinny"], 2, "did you mean"),
        (["claims", "--format", "csv"], 2, "markdown"),
        (["run", "tiny", "-n", "--set", "a=" + "[" * 2000], 3, "nested too deeply"),
        (["run", "tiny", "-n", "--set", ".".join("a" * 5000) + "=1"], 3, "no field at a path of 5000 keys"),
        (["validate", "--experiments", "deep"], 3, "nested too deeply"),
        (["validate", "--experiments", "latin"], 3, "cannot be read"),
        (["tune", "pipe.yaml", "-n"], 3, "is not a file"),
    ],
)
def test_errors_are_explained(
    arguments: list[str], code: int, said: str, inside: Inside, tmp_path: Path, experiments: Path
) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe.yaml")
    for name, text in (("deep", b"[" * 2000), ("latin", b"title: \xe9")):
        (tmp_path / name / "profiles").mkdir(parents=True)
        (tmp_path / name / "tiny.yaml").write_bytes(text)
        (tmp_path / name / "profiles" / "small.yaml").write_bytes((experiments / "profiles/small.yaml").read_bytes())
    answer = inside(*arguments)
    assert answer.code == code, answer.err
    assert said in " ".join(answer.err.split())
    assert "Traceback" not in answer.err


def test_a_traceback_is_shown_on_request(inside: Inside) -> None:
    for arguments in (["--debug", "run", "tiny"], ["run", "tiny", "--debug"]):
        answer = inside(*arguments, "--root", f"/{LONG}")
        assert answer.code == 2
        assert "Traceback" in answer.err
        assert "error: " in answer.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a"), 1, "a: No space left on device; free some space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 1, "Disk quota exceeded; free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), 1, "permission"),
        (OSError(errno.EIO, "Input/output error", "a"), 1, "repeat the command"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a"), 2, "choose another"),
        (OSError("odd"), 1, "odd; repeat"),
        (MemoryError(), 1, "out of memory"),
        (RecursionError(), 2, "nested too deeply"),
        (UnicodeDecodeError("utf-8", b"a", 0, 1, "bad"), 2, "not UTF-8"),
        (KeyError("a"), 1, "KeyError: 'a'\nThis is a defect"),
    ],
)
def test_errors_of_python(
    error: Exception, code: int, said: str, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = explanation(error)
    assert isinstance(found, RdcError)
    assert (found.exit_code, said in str(found)) == (code, True), str(found)

    def fail() -> None:
        raise error

    monkeypatch.setattr(command_line, "commands", fail)
    answer = inside("tables")
    assert answer.code == code
    assert "Traceback" not in answer.err


def test_an_interrupt_while_pydantic_builds_a_validator_is_one(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def __float__(self) -> float:
            raise KeyboardInterrupt

    bound: Any = Interrupted()
    monkeypatch.setattr(command_line, "commands", lambda: SchemaValidator(core_schema.float_schema(gt=bound)))
    answer = inside("tables")
    assert (answer.code, answer.err) == (130, "interrupted; finished work is kept\n")


def test_a_spec_that_is_not_utf_8_is_shown(inside: Inside, tmp_path: Path, experiments: Path) -> None:
    directory: RunDirectory = begin(tmp_path / "runs", experiments, "ours")
    directory.spec.write_bytes(b"title: \xe9\n")
    answer = inside("show", directory.id)
    assert answer.code == 0
    assert "title: \ufffd" in answer.out
    assert "cannot be read" in answer.err
