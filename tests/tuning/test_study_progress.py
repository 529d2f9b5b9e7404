"""What is told of a study while its workers train."""

from rdc_sweeps.tuning.study_progress import ProgressTracker
from tests.tuning.conftest import Open, Where


def test_a_new_trial_is_told_once_and_with_its_whole_configuration(journal: Where, opened: Open) -> None:
    study = opened(journal, 2, "enqueue: []")
    tracker = ProgressTracker(study)

    def changed() -> list[tuple[int, str]]:
        summary = tracker.summary()
        assert summary is not None
        return [(trial.number, trial.phase) for trial in tracker.changed(summary)]

    claim = study.claim(2)
    assert claim is not None
    assert changed() == [(0, "running")]
    assert changed() == []
    # Another worker has begun to choose.
    trial = study.optuna.ask()
    assert trial.number == 1
    assert study.folder.lock_trial(1) is not None
    trial.suggest_float("method.contrast.temperature", 0.01, 100, log=True)
    assert changed() == []
    trial.suggest_float("method.contrast.covariance.shrinkage", 0, 1)
    trial.suggest_float("method.contrast.covariance.ridge", 1e-6, 0.1, log=True)
    assert changed() == [(1, "running")]
