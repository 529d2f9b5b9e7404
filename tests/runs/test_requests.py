from pathlib import Path

import pytest
import yaml

from rdc_sweeps.errors import RunLockedError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.lock import exclusive
from rdc_sweeps.runs.records import Failure, Origin, Result
from rdc_sweeps.runs.requests import forget_failure, request_run, restore_failure, set_aside
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.run import RunSpec, run_id
from tests.runs.writing import write_result

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SPEC = RunSpec()


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path, run_id(SPEC))


def result(directory: RunDirectory) -> Result:
    return Result(run=directory.id, selected={}, epochs=1, images=1, parameters=1, seconds=1.0, device="cpu")


def test_the_first_table_to_ask_is_remembered(directory: RunDirectory) -> None:
    request_run(directory, SPEC, Origin(table="table1", row="a", profile="demo"))
    request_run(directory, SPEC, Origin(table="table3", row="b", profile="demo"))
    assert directory.origin() == Origin(table="table1", row="a", profile="demo")


def test_the_spec_file_of_every_row_is_that_spec(tmp_path: Path) -> None:
    catalogue = Catalogue(EXPERIMENTS)
    runs = [run for table in catalogue.tables for run in catalogue.runs(table, "paper", seeds=[0, 1])]
    assert len(runs) > 100
    for run in runs:
        directory = RunDirectory(tmp_path, run.id)
        request_run(directory, run.spec)
        assert yaml.safe_load(directory.spec.read_text()) == run.spec.model_dump(mode="json")
        assert directory.read_spec() == run.spec


def test_setting_aside_keeps_everything(directory: RunDirectory) -> None:
    request_run(directory, SPEC)
    write_result(directory, result(directory))
    target = set_aside(directory)
    assert target is not None
    assert (target / "result.json").exists()
    assert directory.state() == "planned"
    assert set_aside(directory) is None


def test_a_run_that_is_worked_on_is_not_set_aside(directory: RunDirectory) -> None:
    with exclusive(directory), pytest.raises(RunLockedError):
        set_aside(directory)


def test_a_forgotten_failure_can_be_restored(directory: RunDirectory) -> None:
    failure = Failure(cause="a", traceback="b", time=0, host="c")
    forget_failure(directory)
    assert directory.attempts() == [], "there was none"
    restore_failure(directory, failure)
    forget_failure(directory)
    assert directory.failure() is None
    assert [attempt.state for attempt in directory.attempts()] == ["forgotten"]
    restore_failure(directory, failure)
    assert directory.failure() == failure
