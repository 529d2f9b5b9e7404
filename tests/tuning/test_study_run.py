import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rdc_sweeps.settings import Settings
from rdc_sweeps.tuning import study_run
from rdc_sweeps.tuning.study_request import request_study
from rdc_sweeps.tuning.study_run import StudyListener, StudyResult, run_study
from rdc_sweeps.tuning.study_workers import work_on_study
from tests.tuning.conftest import Open, Where
from tests.tuning.simulation import Simulation, settings


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


def test_who_may_only_read_sees_the_report(journal: Where, opened: Open) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("needs setpriv where tests run as root")
    opened(journal, 2)
    work_on_study(journal.root, journal.name, settings(journal.root), 2, work=Simulation())
    paths = [journal.root, *journal.root.rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in paths}
    for path in paths:
        path.chmod(path.stat().st_mode & 0o555)
    # To root, missing write bits mean something only without this capability.
    unprivileged = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    command = ["-m", "rdc_sweeps", "tune", "--report", "--study", journal.name, "--profile", "demo"]
    try:
        done = subprocess.run(
            [*unprivileged, sys.executable, "-B", *command, "--root", str(journal.root)],
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        for path in paths:
            path.chmod(path.stat().st_mode | 0o200)
    assert done.returncode == 0, done.stderr
    assert "2" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in journal.root.rglob("*")} | {
        journal.root: before[journal.root]
    } == before
