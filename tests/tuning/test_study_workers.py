"""The number of trials is exact, whatever the storage and whatever happens to workers."""

import os
import signal
from collections import Counter
from dataclasses import replace
from multiprocessing.context import SpawnProcess

import pytest

from benchmarks.storm.studies import begin_worker, storm_over_study, study_problems
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.specs.ranges import ChoiceRange
from rdc_sweeps.tuning.study import Study, open_study
from rdc_sweeps.tuning.study_workers import work_in_pool
from rdc_sweeps.tuning.summary import summarise
from tests.tracking.observing import wait_for
from tests.tuning.conftest import Make, Open, Where
from tests.tuning.simulation import STEPS, WAITS, Simulation, settings

EPOCHS = 3


def begin(where: Where, trials: int, simulation: Simulation) -> SpawnProcess:
    return begin_worker(where.root, where.name, where.storage, trials, simulation)


def ended(process: SpawnProcess) -> int | None:
    process.join(timeout=120)
    return process.exitcode


def await_trials(study: Study, count: int) -> None:
    wait_for(lambda: len(study.optuna.get_trials(deepcopy=False)) >= count)


def await_waiting(where: Where) -> None:
    """Until the run of a trial waits."""
    wait_for(lambda: any(where.root.glob(f"*/{WAITS}")))


def assert_exact(study: Study, trials: int) -> None:
    """As many finished trials as were asked for, none beside them, and no step of a run trained twice."""
    assert study_problems(study, trials) == []


def test_two_workers_share_a_study(where: Where, opened: Open) -> None:
    study = opened(where, 8, epochs=EPOCHS)
    workers = [begin(where, 8, Simulation(seconds=0.01)) for _ in range(2)]
    assert [ended(worker) for worker in workers] == [WorkerExit.DONE, WorkerExit.DONE]
    assert_exact(study, 8)


def test_the_trial_of_a_killed_worker_is_resumed(everywhere: Where, opened: Open) -> None:
    study = opened(everywhere, 6, epochs=EPOCHS)
    doomed = begin(everywhere, 6, Simulation(waits_from=0))
    await_waiting(everywhere)
    other = begin(everywhere, 6, Simulation(seconds=0.02))
    await_trials(study, 3)
    doomed.kill()
    assert ended(doomed) == -signal.SIGKILL
    assert ended(other) == WorkerExit.DONE
    if study.finished < 6:  # it was killed after the other had nothing left to claim
        assert ended(begin(everywhere, 6, Simulation())) == WorkerExit.DONE
    assert_exact(study, 6)


def test_every_worker_is_killed_once_in_each_trial(where: Where, opened: Open) -> None:
    study = opened(where, 3, "pruner: {name: none}", epochs=EPOCHS)
    codes = []
    while study.finished < 3:
        codes.append(ended(begin(where, 3, Simulation(kill_at=STEPS + 1))))
    # The baseline and each trial kill their worker once.
    assert Counter(codes) == {-signal.SIGKILL: 4, WorkerExit.DONE: 1}
    assert_exact(study, 3)


def test_a_stopped_worker_leaves_its_trial_to_the_next(where: Where, opened: Open) -> None:
    study = opened(where, 4, "pruner: {name: none}", epochs=EPOCHS)
    worker = begin(where, 4, Simulation(waits_from=0))
    await_waiting(where)
    os.kill(worker.pid or 0, signal.SIGTERM)
    assert ended(worker) == WorkerExit.PREEMPTED
    assert study.finished == 0
    assert summarise(study).count("interrupted") == 1
    assert ended(begin(where, 4, Simulation())) == WorkerExit.DONE
    assert_exact(study, 4)


def test_workers_that_draw_the_same_run_share_it(where: Where, tuned: Make) -> None:
    space = "sampler: {name: random}\npruner: {name: none}\nenqueue: []\nseeds: [0, 4]"
    two = {"method.contrast.temperature": ChoiceRange(choice=(1.0, 5.4))}
    row = tuned(space, EPOCHS)
    study = open_study(
        where.root, where.name, replace(row, spec=row.spec.model_copy(update={"space": two})), where.storage
    )
    study.ask_for(6)
    workers = [begin(where, 6, Simulation(seconds=0.02)) for _ in range(2)]
    assert [ended(worker) for worker in workers] == [WorkerExit.DONE, WorkerExit.DONE]
    summary = summarise(study)
    assert summary.finished == summary.count("complete") == 6
    values = {trial.runs["0"]: trial.value for trial in summary.trials}
    assert len(values) <= 2
    assert all(trial.value == values[trial.runs["0"]] for trial in summary.trials)
    for run in values:
        events = read_events(RunDirectory(where.root, run).events)
        steps = [event["step"] for event in events if event["kind"] == "step"]
        assert steps == list(range(EPOCHS * STEPS))


def test_more_trials_are_added_to_those_that_are_there(where: Where, opened: Open) -> None:
    study = opened(where, 3, epochs=EPOCHS)
    assert ended(begin(where, 3, Simulation())) == WorkerExit.DONE
    study.ask_for(5)
    assert ended(begin(where, 5, Simulation())) == WorkerExit.DONE
    assert_exact(study, 5)
    assert ended(begin(where, 5, Simulation())) == WorkerExit.DONE
    assert_exact(study, 5)


def test_a_pool_replaces_workers_as_long_as_that_helps(journal: Where, opened: Open) -> None:
    study = opened(journal, 5, epochs=EPOCHS)
    chosen = settings(journal.root)
    codes = work_in_pool(
        journal.root, journal.name, chosen, 5, workers=1, work=Simulation(kill_at=STEPS + 1), interval=0.05
    )
    assert codes == [WorkerExit.DONE]
    assert_exact(study, 5)


def test_a_pool_gives_up_where_workers_always_die(journal: Where, opened: Open) -> None:
    opened(journal, 5, epochs=EPOCHS)
    chosen = settings(journal.root).model_copy(update={"retries": 1})
    codes = work_in_pool(journal.root, journal.name, chosen, 5, workers=2, work=deadly, interval=0.05)
    assert codes == [-signal.SIGKILL, -signal.SIGKILL]


def deadly(*arguments: object, **others: object) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return WorkerExit.DONE


def test_a_study_resumes_after_its_pool_was_interrupted(journal: Where, opened: Open) -> None:
    study = opened(journal, 4, "pruner: {name: none}", epochs=EPOCHS)

    def watch() -> None:
        if study.finished:
            raise KeyboardInterrupt

    chosen, slow = settings(journal.root), Simulation(waits_from=1)
    with pytest.raises(KeyboardInterrupt):
        work_in_pool(journal.root, journal.name, chosen, 4, workers=2, work=slow, watch=watch, interval=0.05)
    assert study.finished == 1
    assert summarise(study).count("running") == 0
    assert work_in_pool(journal.root, journal.name, chosen, 4, workers=2, work=Simulation(), interval=0.05) == [
        WorkerExit.DONE,
        WorkerExit.DONE,
    ]
    assert_exact(study, 4)


@pytest.mark.slow
def test_storm(where: Where, opened: Open) -> None:
    """Three workers, one of them killed every now and then and replaced, until all trials are there."""
    storm = storm_over_study(opened(where, 40, epochs=EPOCHS), where.storage, trials=40, kills=12)
    assert storm.problems == []
    assert (storm.trials, storm.kills) == (40, 12)
