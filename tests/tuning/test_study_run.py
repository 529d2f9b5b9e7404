from pathlib import Path
from types import SimpleNamespace

import pytest

from rdc_sweeps.settings import Settings
from rdc_sweeps.tuning import study_run
from rdc_sweeps.tuning.study_request import request_study
from rdc_sweeps.tuning.study_run import StudyListener, StudyResult, run_study


class Heard(StudyListener):
    def __init__(self) -> None:
        self.left: list[int] = []

    def left_to_others(self, trials: int) -> None:
        self.left.append(trials)


@pytest.mark.parametrize(("codes", "complete", "left"), [((0, 0), True, [3]), ((0, 1), False, []), ((9,), False, [])])
def test_a_call_whose_workers_found_no_trial_leaves_the_study_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codes: tuple[int, ...], complete: bool, left: list[int]
) -> None:
    report = SimpleNamespace(summary=SimpleNamespace(finished=1))
    monkeypatch.setattr(study_run, "_train", lambda *_: codes)
    monkeypatch.setattr(study_run, "report_study", lambda *_: StudyResult(report, ()))  # type: ignore[arg-type]
    heard = Heard()
    request = request_study("covariance", Settings(root=tmp_path, profile="demo"), trials=4)
    assert run_study(request, confirm=False, listener=heard).complete == complete
    assert heard.left == left
