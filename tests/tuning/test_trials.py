"""What becomes of a trial: its value, its pruning, its failing, and what it never looks at."""

import errno
import math
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from rdc_sweeps.dispatch import lifecycle
from rdc_sweeps.errors import DataError, DivergenceError, InfrastructureError
from rdc_sweeps.metrics.delta import delta_m
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.records import Attempt, Origin, Stopped
from rdc_sweeps.runs.requests import request_run, request_stop
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import run_id
from rdc_sweeps.specs.training import TrainingLength
from rdc_sweeps.training.observers import EpochRecord, Observer, Panel
from rdc_sweeps.tuning import storage
from rdc_sweeps.tuning.study import Study
from rdc_sweeps.tuning.study_workers import work_on_study
from rdc_sweeps.tuning.summary import summarise
from tests.tuning.conftest import Open, Where
from tests.tuning.simulation import STEPS, Simulation, metrics, settings

EPOCHS = 9


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "PAUSE_BEATS", 0)


@pytest.fixture
def run(journal: Where) -> Callable[..., int]:
    def work(trials: int, simulation: Simulation | None = None) -> int:
        return work_on_study(
            journal.root, journal.name, settings(journal.root), trials, work=simulation or Simulation()
        )

    return work


Work = Callable[..., int]


def directory(study: Study, trial: int, seed: int = 0) -> RunDirectory:
    return RunDirectory(study.folder.root, summarise(study).trials[trial].runs[str(seed)])


def test_the_value_is_delta_m_of_the_last_validation_metrics(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 1)
    assert run(1) == WorkerExit.DONE
    tuned = study.tuned
    assert tuned.baseline is not None
    baseline = {name: value for name, value in metrics(tuned.baseline, EPOCHS - 1).items() if value is not None}
    values = {name: value for name, value in metrics(tuned.run, EPOCHS - 1).items() if value is not None}
    (trial,) = summarise(study).trials
    assert trial.value == pytest.approx(delta_m(values, baseline))
    assert trial.curve[EPOCHS] == trial.value
    assert list(trial.curve) == list(range(1, EPOCHS + 1))


def test_the_row_itself_is_the_first_trial(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 3)
    run(3)
    summary = summarise(study)
    assert summary.default == summary.trials[0]
    assert summary.trials[0].values == study.tuned.own_values
    assert summary.trials[0].runs == {"0": run_id(study.tuned.run)}


@pytest.mark.parametrize(("metric", "best"), [("mIoU", max), ("aErr", min)])
def test_one_metric_in_its_own_direction(
    metric: str, best: Callable[..., float], journal: Where, opened: Open, run: Work
) -> None:
    study = opened(journal, 5, f"objective: {{name: metric, metric: {metric}}}\npruner: {{name: none}}")
    run(5)
    summary = summarise(study)
    assert summary.best is not None
    assert summary.best.value == best(trial.value for trial in summary.trials)
    # No baseline is trained for it.
    assert not [path for path in journal.root.glob("*/origin.json") if '"trial": null' in path.read_text()]


def test_the_baseline_is_trained_once(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 2, "seeds: [0, 4]")
    run(2)
    for seed in (0, 4):
        spec = study.tuned.baseline_run(seed)
        assert spec is not None
        found = RunDirectory(journal.root, run_id(spec))
        assert found.state() == "done"
        assert found.origin() == Origin(table="table3", row="one-patch-vector", profile="demo", study="example")


def test_runs_say_which_trial_they_are_of(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 2)
    run(2)
    origin = directory(study, 1).origin()
    assert origin is not None
    assert (origin.study, origin.trial, origin.row) == ("example", 1, "one-region-gaussian")


def test_seeds_are_trained_one_after_another_and_averaged(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 2, "seeds: [0, 4, 9]\npruner: {name: none}\nobjective: {name: metric, metric: mIoU}")
    run(2)
    for trial in summarise(study).trials:
        runs = study.runs(trial.values)
        final = [metrics(spec, EPOCHS - 1)["mIoU"] or math.nan for spec in runs]
        assert trial.value == pytest.approx(sum(final) / 3)
        assert list(trial.curve) == list(range(1, 3 * EPOCHS + 1))
        # In the second seed's third epoch: the first seed's last value, and the second's present one.
        now = metrics(runs[1], 2)["mIoU"] or math.nan
        assert trial.curve[EPOCHS + 3] == pytest.approx((final[0] + now) / 2)
        assert trial.epochs == 3 * EPOCHS


def test_hopeless_trials_end_early_and_say_so(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 12)
    run(12)
    summary = summarise(study)
    pruned = [trial for trial in summary.trials if trial.phase == "pruned"]
    assert pruned
    for trial in pruned:
        found = directory(study, trial.number)
        stopped = found.stopped()
        assert found.state() == "pruned"
        assert stopped is not None
        assert f"study example, trial {trial.number}" in stopped.detail
        assert trial.epochs == max(trial.curve) < EPOCHS
        assert len(list(read_events(found.events))) == trial.epochs * (STEPS + 1) + 1
    assert summary.epochs_saved == sum(EPOCHS - trial.epochs for trial in pruned)
    assert summary.epochs_spent + summary.epochs_saved == 12 * EPOCHS
    assert summary.best is not None
    assert summary.best.value == max(trial.value or -math.inf for trial in summary.trials)


def test_no_pruner_prunes_nothing(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 8, "pruner: {name: none}")
    run(8)
    assert summarise(study).count("complete") == 8
    assert summarise(study).epochs_saved == 0


def test_wilcoxon_ends_a_trial_between_seeds(journal: Where, opened: Open, run: Work) -> None:
    seeds = "seeds: [0, 4, 5, 6, 7, 8]\nconfirm: [1]\npruner: {name: wilcoxon, p: 0.2}"
    study = opened(journal, 8, seeds, epochs=2)
    run(8)
    pruned = [trial for trial in summarise(study).trials if trial.phase == "pruned"]
    assert pruned
    for trial in pruned:
        assert list(trial.curve) == list(range(len(trial.curve)))
        assert 3 <= len(trial.curve) < 6
        assert trial.epochs == 2 * len(trial.curve)
        assert directory(study, trial.number, 8).state() == "planned"


@pytest.mark.parametrize(
    "sampler", ["{name: random}", "{name: gp, startup_trials: 3}", "{name: tpe, startup_trials: 3}"]
)
def test_an_interrupted_study_ends_like_one_that_was_not(sampler: str, tmp_path: Path, opened: Open, run: Work) -> None:
    found = []
    for name, steps in (("whole", [6]), ("parts", [2, 3, 6])):
        where = Where(tmp_path / name, "example", None)
        study = opened(where, 6, f"sampler: {sampler}", epochs=3)
        for trials in steps:
            work_on_study(where.root, "example", settings(where.root), trials, work=Simulation())
        found.append([(trial.values, trial.value) for trial in summarise(study).trials])
    assert found[0] == found[1]


def test_a_grid_is_tried_once_in_each_point(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 500, "sampler: {name: grid, points: 2}\npruner: {name: none}", epochs=1)
    assert study.asked == 8
    assert run(500) == WorkerExit.DONE
    found = {tuple(trial.values.values()) for trial in summarise(study).trials}
    assert len(found) == len(summarise(study).trials) == 8
    assert {values[0] for values in found} == {0.01, 100.0}


def test_a_run_that_is_done_already_is_not_trained_again(tmp_path: Path, opened: Open) -> None:
    root = tmp_path / "runs"
    for name in ("first", "second"):
        study = opened(Where(root, name, None), 1)
        work_on_study(root, name, settings(root), 1, work=Simulation())
    trial = summarise(study).trials[0]
    origin = directory(study, 0).origin()
    assert origin is not None
    assert origin.study == "first"
    assert list(trial.curve) == list(range(1, EPOCHS + 1))
    assert trial.phase == "complete"


def test_what_another_study_gave_up_is_trained_on(tmp_path: Path, opened: Open) -> None:
    root = tmp_path / "runs"
    for name, pruner in (("first", "hyperband"), ("second", "none")):
        study = opened(Where(root, name, None), 8, f"pruner: {{name: {pruner}}}\nsampler: {{name: random}}")
        work_on_study(root, name, settings(root), 8, work=Simulation())
    summary = summarise(study)
    assert summary.count("complete") == 8
    assert all(list(trial.curve) == list(range(1, EPOCHS + 1)) for trial in summary.trials)


def test_a_diverging_configuration_fails_and_the_study_continues(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 10, "pruner: {name: none}\nsampler: {name: random}", epochs=2)
    assert run(10, Simulation(error=DivergenceError("loss = nan"))) == WorkerExit.DONE
    summary = summarise(study)
    assert summary.finished == 10
    failed = [trial for trial in summary.trials if trial.phase == "failed"]
    assert failed
    for trial in summary.trials:
        hot = trial.values["method.contrast.temperature"] > 10
        assert (trial.phase == "failed") == hot
        assert trial.reason == ("loss = nan" if hot else None)


def test_a_numerical_error_is_the_configuration_s(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 4, "pruner: {name: none}\nsampler: {name: random}", epochs=1)
    error = ArithmeticError("the matrix is not positive definite")
    assert run(4, Simulation(error=error)) == WorkerExit.DONE
    assert summarise(study).finished == 4


def test_missing_data_costs_no_trial(journal: Where, opened: Open, run: Work, caplog: pytest.LogCaptureFixture) -> None:
    study = opened(
        journal, 4, "pruner: {name: none}\nsampler: {name: random}\nenqueue: [{method.contrast.temperature: 50}]"
    )
    broken = Simulation(error=DataError("nyuv2: no such folder"))
    assert run(4, broken) == WorkerExit.FAILED
    assert run(4, broken) == WorkerExit.FAILED
    assert "nyuv2: no such folder" in caplog.text
    assert summarise(study).finished == 0
    assert summarise(study).count("interrupted") == 1
    assert run(4) == WorkerExit.DONE
    assert summarise(study).count("complete") == 4


def of_torch(code: int) -> Exception:
    """What `torch.save` raises when a disk refuses to write."""
    error = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")
    error.__context__ = OSError(code, os.strerror(code))
    return error


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), of_torch(errno.EDQUOT), InfrastructureError("no GPU")],
    ids=["full", "quota", "device"],
)
def test_what_stays_broken_stops_the_study_and_costs_no_trial(
    error: Exception, journal: Where, opened: Open, run: Work
) -> None:
    study = opened(journal, 2, "enqueue: [{method.contrast.temperature: 50}]\npruner: {name: none}")
    codes = [run(2, Simulation(error=error)) for _ in range(3)]
    assert codes == [WorkerExit.RETRY, WorkerExit.RETRY, WorkerExit.PARKED]
    assert (summarise(study).count("interrupted"), summarise(study).finished) == (1, 0)
    assert run(2) == WorkerExit.DONE
    assert summarise(study).count("complete") == 2


def test_a_failing_baseline_stops_the_study(
    journal: Where, opened: Open, run: Work, caplog: pytest.LogCaptureFixture
) -> None:
    study = opened(journal, 2)
    broken = Simulation(error=DivergenceError("loss = nan"), fails=lambda spec: True)
    assert run(2, broken) == WorkerExit.FAILED
    assert "the baseline one-patch-vector" in caplog.text
    assert summarise(study).trials == ()
    assert run(2) == WorkerExit.DONE


def test_the_machine_s_fault_is_tried_again(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 2, "enqueue: [{method.contrast.temperature: 50}]")
    flaky = Simulation(error=InfrastructureError("the GPU fell off the bus"))
    assert run(2, flaky) == WorkerExit.RETRY
    assert summarise(study).finished == 0
    assert run(2) == WorkerExit.DONE
    assert summarise(study).finished == 2


def test_a_run_that_kills_its_workers_is_given_up(journal: Where, opened: Open, run: Work) -> None:
    """A worker that was killed leaves no more than the line of its start."""
    study = opened(journal, 2, "pruner: {name: none}")
    claim = study.claim(2)
    assert claim is not None
    claim.release()
    found = directory(study, 0)
    found.folder.mkdir(parents=True)
    request_run(found, study.tuned.run)
    with acquire(found) as owned:
        for _ in range(3):
            owned.write_attempt(Attempt.now("start", progress=None))
    assert run(2) == WorkerExit.DONE
    summary = summarise(study)
    assert [trial.phase for trial in summary.trials] == ["failed", "complete"]
    assert "died 3 times in a row" in (summary.trials[0].reason or "")


def test_many_failures_in_a_row_stop_the_worker(
    journal: Where, opened: Open, run: Work, caplog: pytest.LogCaptureFixture
) -> None:
    study = opened(journal, 20, epochs=1)
    broken = Simulation(error=ValueError("a bug"), fails=lambda spec: run_id(spec) != run_id(study.tuned.baseline))  # type: ignore[arg-type]
    assert run(20, broken) == WorkerExit.FAILED
    assert summarise(study).count("failed") == 5
    assert "the last 5 trials have all failed" in caplog.text


class Terminator:
    """Asks the process to stop after a run's last epoch."""

    def started(self, step: int, length: TrainingLength) -> None:
        pass

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        pass

    def evaluated(self, record: EpochRecord, step: int, panels: Sequence[Panel]) -> None:
        if record.epoch + 1 == EPOCHS:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_that_comes_with_a_run_s_end_stops_the_worker(journal: Where, opened: Open) -> None:
    study = opened(journal, 5, "objective: {name: metric, metric: mIoU}\npruner: {name: none}")

    def work(run_id: str, settings: Settings, *, observers: Sequence[Observer] = (), stop: Event | None = None) -> int:
        return Simulation()(run_id, settings, observers=[*observers, Terminator()], stop=stop)

    code = work_on_study(journal.root, journal.name, settings(journal.root), 5, work=work)
    assert code == WorkerExit.PREEMPTED
    assert study.finished == len(study.optuna.trials) == 1


def test_a_cancelled_run_ends_its_trial(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 2, "pruner: {name: none}")
    claim = study.claim(2)
    assert claim is not None
    claim.release()
    directory(study, 0).folder.mkdir(parents=True)
    request_run(directory(study, 0), study.tuned.run)
    request_stop(directory(study, 0), Stopped.now("cancelled", "by ada"))
    assert run(2) == WorkerExit.DONE
    summary = summarise(study)
    assert [trial.phase for trial in summary.trials] == ["failed", "complete"]
    assert "by ada" in (summary.trials[0].reason or "")


def test_a_half_drawn_trial_is_drawn_to_its_end(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 2, "enqueue: []")
    trial = study.optuna.ask()
    tau = trial.suggest_float("method.contrast.temperature", 0.01, 100, log=True)
    assert run(2) == WorkerExit.DONE
    summary = summarise(study)
    assert summary.finished == 2
    assert summary.trials[0].values["method.contrast.temperature"] == tau
    assert set(summary.trials[0].values) == set(study.tuned.spec.space)


def test_a_storage_that_is_away_for_a_while_costs_nothing(
    journal: Where, opened: Open, run: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, report, tell = opened(journal, 2, "pruner: {name: none}"), optuna.Trial.report, optuna.Study.tell
    calls: list[int] = []

    def flaky_report(self: optuna.Trial, value: float, step: int) -> None:
        calls.append(step)
        if len(calls) in {2, 3, EPOCHS + 1}:
            raise StorageInternalError("the server is restarting")
        report(self, value, step)

    def flaky_tell(self: optuna.Study, *arguments: Any, **others: Any) -> Any:
        calls.append(0)
        if calls.count(0) == 1:
            raise StorageInternalError("the server is restarting")
        return tell(self, *arguments, **others)

    monkeypatch.setattr(optuna.Trial, "report", flaky_report)
    monkeypatch.setattr(optuna.Study, "tell", flaky_tell)
    assert run(2) == WorkerExit.DONE
    for trial in summarise(study).trials:
        assert trial.phase == "complete"
        assert list(trial.curve) == list(range(1, EPOCHS + 1))


def test_a_storage_that_stays_away_fails_no_trial(
    journal: Where, opened: Open, run: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = opened(journal, 2)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "STORAGE_PATIENCE", 0.1)
        patch.setattr(optuna.Study, "tell", lambda *_, **__: (_ for _ in ()).throw(StorageInternalError("gone")))
        assert run(2) == WorkerExit.RETRY
    assert summarise(study).count("interrupted") == 1
    assert run(2) == WorkerExit.DONE
    assert summarise(study).finished == 2


def test_equal_values_make_nothing_important(journal: Where, opened: Open, run: Work) -> None:
    study = opened(journal, 10, "pruner: {name: none}\nsampler: {name: random}", epochs=1)
    same = Simulation(curve=lambda spec, epoch: {"mIoU": 0.5, "aErr": 0.5, "mErr": 20.0})
    assert run(10, same) == WorkerExit.DONE
    summary = summarise(study)
    assert summary.best is not None
    assert summary.best.value == 0
    assert summary.importances == {}


def test_trials_never_see_the_test_set(journal: Where, opened: Open, run: Work) -> None:
    """The simulated test metrics would give an mIoU above 0.32 for whatever configuration."""
    study = opened(journal, 3, "objective: {name: metric, metric: mIoU}\npruner: {name: none}", epochs=1)
    run(3)
    for trial in study.optuna.get_trials(states=(TrialState.COMPLETE,)):
        spec = study.runs(summarise(study).trials[trial.number].values)[0]
        assert trial.value == metrics(spec, 0)["mIoU"]
