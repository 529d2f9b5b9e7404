"""Directories that remember what they have read see every change."""

from pathlib import Path

import pytest

from rdc_sweeps.errors import DamagedError
from rdc_sweeps.files import read_file
from rdc_sweeps.runs import directory
from rdc_sweeps.runs.cache import caching
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Failure, Status
from tests.runs.writing import write_failure, write_status


def test_a_record_is_read_once_until_it_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: Path) -> bytes:
        read.append(path.name)
        return read_file(path)

    monkeypatch.setattr(directory, "read_file", counted)
    open_run = caching()
    run = open_run(tmp_path, "0123456789abcdef")
    assert open_run(tmp_path, run.id) is run
    assert run.status() is None
    status = Status.of_this_process("training")
    write_status(RunDirectory(tmp_path, run.id), status)
    assert [run.status(), run.status()] == [status, status]
    assert read == ["status.json"]
    write_status(RunDirectory(tmp_path, run.id), status.model_copy(update={"epoch": 1}))
    assert run.status() == status.model_copy(update={"epoch": 1})
    (run.folder / "status.json").unlink()
    assert run.status() is None


def test_states_are_those_of_a_directory_that_remembers_nothing(tmp_path: Path) -> None:
    run = caching()(tmp_path, "0123456789abcdef")
    assert run.state() == "planned"
    write_status(RunDirectory(tmp_path, run.id), Status.of_this_process("preempted"))
    assert run.state() == RunDirectory(tmp_path, run.id).state() == "preempted"
    write_failure(RunDirectory(tmp_path, run.id), Failure(cause="disk full", traceback="", time=0, host="h"))
    assert run.state() == RunDirectory(tmp_path, run.id).state() == "failed"
    (run.folder / "failure.json").write_text("{}")
    for _ in range(2):
        assert run.state() == "damaged"
        with pytest.raises(DamagedError):
            run.failure()
