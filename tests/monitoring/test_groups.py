from pathlib import Path

import pytest

from rdc_sweeps.monitoring import groups
from rdc_sweeps.monitoring.groups import RunGroup, RunsFolder, shortened
from rdc_sweeps.monitoring.views import Waiting
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Origin
from tests.monitoring.boards import studies, table
from tests.monitoring.conftest import Bench
from tests.runs.writing import write_origin


def counts(found: list[RunGroup]) -> dict[str, dict[str, int]]:
    return {group.title: dict(group.counts) for group in found}


def test_runs_are_grouped_by_the_table_or_study_that_asked_first(bench: Bench) -> None:
    bench.run(0, "done")
    bench.run(1, "failed")
    bench.run(2, "preempted", table="table1")
    bench.run(3, "done", study="tau")
    (bench.root / "replaced" / "x").mkdir(parents=True)
    (bench.root / "submissions").mkdir()
    assert counts(RunsFolder(bench.root).groups({})) == {
        "study tau": {"done": 1},
        "table1 under profile demo": {"preempted": 1},
        "table3 under profile demo": {"failed": 1, "done": 1},
    }


def test_a_study_is_shown_with_its_done_trials_in_order(bench: Bench) -> None:
    for trial in (11, 3, 7):
        bench.run(trial, "done", study="tau")
    bench.run(0, "done", study="other")
    (group,) = RunsFolder(bench.root).groups({}, study="tau")
    assert [view.subject.name for view in group.views] == ["trial 3", "trial 7", "trial 11"]
    assert RunsFolder(bench.root).groups({}, study="none") == []


def test_the_baseline_of_a_study_comes_before_its_trials(bench: Bench) -> None:
    bench.run(0, "preempted", study="tau")
    directory = bench.run(5, "preempted")
    (directory.folder / "origin.json").unlink()
    write_origin(directory, Origin(table="table3", row="row", profile="demo", study="tau"))
    (group,) = RunsFolder(bench.root).groups({}, study="tau")
    assert [view.subject.name for view in group.views] == ["baseline", "trial 0"]


def test_a_run_that_becomes_done_while_somebody_watches_stays_in_sight(bench: Bench) -> None:
    bench.run(0, "done")
    bench.run(1, "preempted")
    folder = RunsFolder(bench.root)
    assert [view.state for view in folder.groups({})[0].views] == ["preempted"]
    bench.run(1, "done")
    (group,) = folder.groups({})
    assert [view.state for view in group.views] == ["done"]
    assert group.counts == {"done": 2}


def test_of_done_runs_nothing_but_the_result_is_asked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        bench.run(seed, "done")
    opened: list[str] = []

    def inspect(subject: object, root: object, queue: object) -> None:
        opened.append(str(subject))

    monkeypatch.setattr(groups, "inspect", inspect)
    monkeypatch.setattr(RunDirectory, "status", lambda _: pytest.fail("a status was read"))
    assert counts(RunsFolder(bench.root).groups({})) == {"table3 under profile demo": {"done": 5}}
    assert opened == []


def test_runs_in_the_queue_are_queued(bench: Bench) -> None:
    run = bench.run(0, "planned")
    (group,) = RunsFolder(bench.root).groups({run.id: Waiting("7")})
    assert group.counts == {"queued": 1}


def test_a_missing_folder_is_empty(tmp_path: Path) -> None:
    assert RunsFolder(tmp_path / "none").groups({}) == []


def test_the_time_left_counts_running_and_queued_runs() -> None:
    (group,) = table()
    # 395 s for what runs, 790 s and 590 s for what waits, one at a time.
    assert group.seconds_left == pytest.approx(395 + 790 + 590)
    assert RunGroup("", []).seconds_left is None


def test_the_most_urgent_runs_of_all_groups_are_kept_and_the_others_counted() -> None:
    groups = [*table(), *studies()]
    short = shortened(groups, 5)
    assert [view.state for group in short for view in group.views] == ["running"] * 2 + ["failed"] + ["running"] * 2
    assert [group.counts for group in short] == [group.counts for group in groups]
