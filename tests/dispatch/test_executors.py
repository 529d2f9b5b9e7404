from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from rdc_sweeps.dispatch import executors
from rdc_sweeps.dispatch.executors import (
    EXECUTORS,
    Executor,
    Listener,
    LocalExecutor,
    SlurmExecutor,
    Start,
    Workers,
    executor_for,
)
from rdc_sweeps.dispatch.plan import Planned, plan
from rdc_sweeps.dispatch.slurm.submissions import submissions
from rdc_sweeps.errors import DataError, UnavailableError
from rdc_sweeps.monitoring.cancellation import cancel
from rdc_sweeps.monitoring.views import Subject
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.lock import exclusive
from rdc_sweeps.runs.records import Status, Stopped
from rdc_sweeps.runs.requests import request_stop
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Catalogue
from tests.dispatch.slurm.conftest import scheduler
from tests.dispatch.slurm.scheduler import Scheduler
from tests.runs.writing import write_status

__all__ = ["scheduler"]

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


class Recorder(Listener):
    """Remembers the names of the calls, and their numbers."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def planned(self, planned: Sequence[Planned]) -> None:
        self.calls.append(("planned", len(planned)))

    @contextmanager
    def preparing(self) -> Iterator[Callable[[str, int, int], None]]:
        self.calls.append(("preparing",))
        yield lambda title, done, total: None

    @contextmanager
    def training(self, start: Start) -> Iterator[Callable[[], None]]:
        self.calls.append(("training", start.slots.runs, start.gpus))
        yield lambda: self.calls.append(("watched",))

    def workers_submitted(self, count: int, job: str | None, preparation: str | None) -> None:
        self.calls.append(("submitted", count, job, preparation))

    def workers_found(self, running: int, waiting: int) -> None:
        self.calls.append(("found", running, waiting))


def settings(root: Path, executor: str, **values: object) -> Settings:
    folders = {"root": root / "runs", "cache_root": root / "cache", "experiments": EXPERIMENTS}
    return Settings(**{**folders, "executor": executor, "device": "cpu", "node": "cpu", **values})  # type: ignore[arg-type]


def planned(chosen: Settings) -> list[Planned]:
    return plan(Catalogue(EXPERIMENTS).runs("table3", "demo", seeds=[0]), chosen.root)


def workers(work: Callable[[Start, Settings, Callable[[], None]], Sequence[int]]) -> Workers:
    return Workers("study tau", (), useful=3, wanted=2, work_here=work, command=("study-worker", "tau"))


def test_every_value_of_the_setting_has_an_executor(tmp_path: Path) -> None:
    assert tuple(EXECUTORS) == get_args(Settings.model_fields["executor"].annotation)
    for name, kind in EXECUTORS.items():
        executor = executor_for(settings(tmp_path, name))
        assert type(executor) is kind
        assert isinstance(executor, Executor)


def test_what_was_skipped_and_failed_is_returned_and_nothing_is_prepared(tmp_path: Path) -> None:
    heard = Recorder()
    chosen = settings(tmp_path, "local")
    first, second, *others = planned(chosen)
    plans = [replace(first, state="failed", action="skip")]
    plans += [replace(one, state="done", action="skip") for one in [second, *others]]
    assert LocalExecutor(chosen, heard).execute(lambda: plans) == [first.run.id]
    assert heard.calls == [("planned", len(plans))]
    assert not chosen.root.exists()


def test_local_workers_get_their_share_of_the_machine_and_are_watched(tmp_path: Path) -> None:
    heard = Recorder()

    def work(start: Start, given: Settings, watch: Callable[[], None]) -> Sequence[int]:
        watch()
        assert given.threads == start.slots.threads
        return [0] * start.slots.runs

    assert LocalExecutor(settings(tmp_path, "local"), heard).start_workers(workers(work)) == [0, 0]
    assert heard.calls == [("preparing",), ("training", 2, 0), ("watched",)]


def test_slurm_workers_are_submitted_once(tmp_path: Path, scheduler: Scheduler) -> None:
    def work(start: Start, given: Settings, watch: Callable[[], None]) -> Sequence[int]:
        raise AssertionError("nothing is trained where jobs are submitted")

    heard = Recorder()
    executor = SlurmExecutor(settings(tmp_path, "slurm"), heard)
    assert executor.start_workers(workers(work)) == []
    assert executor.start_workers(workers(work)) == []
    assert heard.calls == [("submitted", 2, "1000", None), ("found", 0, 2)]
    assert len(scheduler.calls("sbatch")) == 1


def test_a_dry_run_on_slurm_shows_job_files_and_writes_nothing(tmp_path: Path, scheduler: Scheduler) -> None:
    executor = SlurmExecutor(settings(tmp_path, "slurm"))
    (text,) = executor.job_files(planned(executor.settings))
    assert "#SBATCH --array=0-11%12" in text
    assert not executor.settings.root.exists()
    assert executor.inspect(planned(executor.settings)) == planned(executor.settings)
    assert executor.worker_settings.device == "cpu"
    assert executor.worker_settings.root.is_absolute()


def test_nothing_is_prepared_where_slurm_does_not_answer(tmp_path: Path, scheduler: Scheduler) -> None:
    heard = Recorder()
    scheduler.remove("scontrol")
    executor = SlurmExecutor(settings(tmp_path, "slurm"), heard)
    with pytest.raises(UnavailableError, match="scontrol"):
        executor.execute(lambda: planned(executor.settings))
    assert heard.calls == []


@pytest.mark.parametrize("before", ["planned", "preempted", "cancelled"])
def test_runs_that_are_cancelled_while_they_are_prepared_are_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    chosen = settings(tmp_path, "local")
    directories = [RunDirectory(chosen.root, one.run.id) for one in planned(chosen)]
    for directory in directories:
        if before != "planned":
            write_status(directory, Status.of_this_process("preempted"))
        if before == "cancelled":
            request_stop(directory, Stopped.now("cancelled", "yesterday"))

    def prepare(*arguments: object) -> int:
        assert len(cancel([Subject(one.id) for one in directories], chosen.root).outcomes) == len(directories)
        return 0

    trained: list[str] = []
    monkeypatch.setattr(executors, "prepare", prepare)
    monkeypatch.setattr(executors, "run_locally", lambda ids, *_, **__: trained.extend(ids))
    LocalExecutor(chosen).execute(lambda: planned(chosen))
    # Their workers start, find that they are cancelled, and end.
    assert trained == [one.id for one in directories]
    assert {one.state() for one in directories} == {"cancelled"}
    assert not [one for one in directories if "yesterday" in (one.stopped() or Stopped.now("pruned", "")).detail]


def test_a_preparation_that_fails_leaves_the_runs_folder_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path, "local")
    first, *_ = (RunDirectory(chosen.root, one.run.id) for one in planned(chosen))
    write_status(first, Status.of_this_process("preempted"))
    request_stop(first, Stopped.now("cancelled", "yesterday"))

    def prepare(*arguments: object) -> int:
        raise DataError("nyuv2: no such folder")

    monkeypatch.setattr(executors, "prepare", prepare)
    with pytest.raises(DataError, match="no such folder"):
        LocalExecutor(chosen).execute(lambda: planned(chosen))
    assert first.state() == "cancelled"
    assert [path.name for path in chosen.root.iterdir()] == [first.id]


def test_runs_that_another_process_took_over_are_not_counted_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path, "local")
    others = RunDirectory(chosen.root, planned(chosen)[0].run.id)
    monkeypatch.setattr(executors, "prepare", lambda *_: 0)
    monkeypatch.setattr(executors, "run_locally", lambda *_, **__: None)
    with exclusive(others):
        unfinished = LocalExecutor(chosen).execute(lambda: [replace(one, action="train") for one in planned(chosen)])
    assert set(unfinished) == {one.run.id for one in planned(chosen)} - {others.id}


def test_runs_that_are_cancelled_before_they_are_submitted_are_skipped(tmp_path: Path, scheduler: Scheduler) -> None:
    chosen = settings(tmp_path, "slurm")
    looks = 0

    def look() -> list[Planned]:
        nonlocal looks
        looks += 1
        if looks == 2:
            for one in planned(chosen)[:-1]:
                request_stop(RunDirectory(chosen.root, one.run.id), Stopped.now("cancelled", "meanwhile"))
        return planned(chosen)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executors, "needs_building", lambda *_: False)
        SlurmExecutor(chosen).execute(look)
    assert [job.runs for job in (one.read() for one in submissions(chosen.root))] == [1]
