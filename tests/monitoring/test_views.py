from pathlib import Path

import pytest

from rdc_sweeps.monitoring.views import Subject, Waiting, inspect, seed_of
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.lock import exclusive
from tests.monitoring.conftest import Bench

STATES = ["planned", "preempted", "cancelled", "pruned", "failed", "done"]


@pytest.mark.parametrize("state", STATES)
def test_a_run_is_seen_in_its_state(bench: Bench, state: str) -> None:
    directory = bench.run(3, state)
    view = inspect(Subject(directory.id), bench.root, {})
    assert view.state == state
    assert view.cause == {"failed": "disk full", "cancelled": "by ada", "pruned": "by ada"}.get(state)
    assert view.as_json()["progress"] == {"planned": None, "done": 1.0}.get(state, 0.25)


def test_what_is_worked_on_is_running_whatever_the_queue_says(bench: Bench) -> None:
    directory = bench.run(3, "preempted")
    with exclusive(directory):
        assert inspect(Subject(directory.id), bench.root, {directory.id: Waiting("7")}).state == "running"


@pytest.mark.parametrize(
    ("state", "seen"), [("planned", "queued"), ("preempted", "queued"), ("cancelled", "cancelled"), ("done", "done")]
)
def test_what_has_not_ended_and_has_a_job_is_queued(bench: Bench, state: str, seen: str) -> None:
    directory = bench.run(3, state)
    view = inspect(Subject(directory.id), bench.root, {directory.id: Waiting("7", "Priority")})
    assert view.state == seen
    assert (view.as_json()["job"] == "7") == (seen == "queued")


def test_a_run_without_a_directory_is_planned_and_stays_without(tmp_path: Path) -> None:
    assert inspect(Subject("0" * 16), tmp_path, {}).state == "planned"
    assert not list(tmp_path.iterdir())


def test_a_damaged_record_is_reported_and_hides_nothing_else(bench: Bench) -> None:
    directory = bench.run(3, "preempted")
    (directory.folder / "status.json").write_text("{")
    view = inspect(Subject(directory.id), bench.root, {})
    assert view.state == "damaged"
    assert "status.json: is damaged" in (view.problem or "")


def test_the_seed_is_found_in_the_spec(bench: Bench) -> None:
    assert seed_of(bench.run(17, "planned")) == 17
    assert seed_of(RunDirectory(bench.root, "0" * 16)) is None
