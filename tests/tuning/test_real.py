"""A study of real trainings, as small as they get: pruned, interrupted and resumed."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tuning.study import Study, open_study
from rdc_sweeps.tuning.study_workers import work_in_pool, work_on_study
from rdc_sweeps.tuning.summary import summarise
from rdc_sweeps.tuning.tuned_row import TunedRow, read_study, resolve_study
from tests.tuning.simulation import settings

EXPERIMENTS = Path(__file__).parents[2] / "experiments"

# The row would need region maps, which are prepared beforehand; patches are made as they are needed.
SMALL = """
study: small
title: As small as it gets
table: table3
row: one-patch-gaussian
epochs: 2
# So little training may well predict no class right, and nothing follows in percent of an mIoU of 0.
objective: {name: metric, metric: aErr}
set:
  dataset: {size: [64, 96], train_images: 8, validation_images: 4, test_images: 2}
  training: {batch_size: 4}
  method: {mapping: {channels: [8, 8]}}
space:
  method.contrast.temperature: {log: [0.01, 100]}
  method.contrast.covariance.shrinkage: {uniform: [0, 1]}
  method.extraction.size: {integer: [4, 12], step: 4}
pruner: {name: median, startup_trials: 1, warmup_epochs: 0}
"""


@pytest.fixture
def small(tmp_path: Path) -> TunedRow:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return resolve_study(read_study(path), Catalogue(EXPERIMENTS), "demo")


def tune(tmp_path: Path, study: Study, trials: int, workers: int) -> list[int]:
    study.ask_for(trials)
    chosen = settings(tmp_path / "runs").model_copy(update={"cache_root": tmp_path / "cache"})
    return work_in_pool(tmp_path / "runs", "small", chosen, trials, workers=workers)


@pytest.mark.slow
def test_real_trainings(tmp_path: Path, small: TunedRow) -> None:
    study = open_study(tmp_path / "runs", "small", small)
    assert tune(tmp_path, study, 3, workers=1) == [0]
    summary = summarise(study)
    assert summary.finished == 3
    assert summary.count("failed") == 0
    for trial in summary.trials:
        directory = RunDirectory(tmp_path / "runs", trial.runs["0"])
        assert directory.state() == {"complete": "done", "pruned": "pruned"}[trial.phase]
    # The same again is nothing new.
    assert tune(tmp_path, study, 3, workers=1) == [0]
    assert summarise(study) == summary


@pytest.mark.slow
def test_alignment_of_trainings_with_and_without_probes(tmp_path: Path) -> None:
    def study(root: Path, name: str, objective: str, trials: int) -> Study:
        path = tmp_path / "small.yaml"
        path.write_text(SMALL.replace("{name: metric, metric: aErr}", objective).replace("epochs: 2", "epochs: 1"))
        found = open_study(root, name, resolve_study(read_study(path), Catalogue(EXPERIMENTS), "demo"))
        found.ask_for(trials)
        chosen = settings(root).model_copy(update={"cache_root": tmp_path / "cache"})
        assert work_on_study(root, name, chosen, trials) == WorkerExit.DONE
        return found

    alignment, runs = "{name: alignment, images: 4}", tmp_path / "runs"
    fresh = summarise(study(tmp_path / "others", "fresh", alignment, 1)).trials
    # The first trial of this study is a run that is finished already, without a probe.
    study(runs, "plain", "{name: metric, metric: aErr}", 1)
    after = summarise(study(runs, "after", alignment, 2)).trials
    assert [trial.phase for trial in after] == ["complete", "complete"]
    assert after[0].runs == fresh[0].runs
    assert after[0].value == pytest.approx(fresh[0].value)
    assert all(trial.value and trial.curve == {1: trial.value} for trial in after)


@pytest.mark.slow
def test_real_workers_killed_and_replaced(tmp_path: Path, small: TunedRow) -> None:
    study = open_study(tmp_path / "runs", "small", small)
    killed: list[int] = []

    study.ask_for(6)
    chosen = settings(tmp_path / "runs").model_copy(update={"cache_root": tmp_path / "cache"})

    def watch() -> None:
        owners = [
            status.process
            for path in (tmp_path / "runs").glob("*/status.json")
            if (status := RunDirectory(tmp_path / "runs", path.parent.name).status()) is not None and status.live
        ]
        if len(killed) < 2 and (left := [owner for owner in owners if owner not in killed]):
            with suppress(ProcessLookupError):  # it may have ended since
                os.kill(left[0], signal.SIGKILL)
                killed.append(left[0])

    codes = work_in_pool(tmp_path / "runs", "small", chosen, 6, workers=2, watch=watch, interval=0.1)
    assert codes == [0, 0]
    assert len(killed) == 2
    summary = summarise(study)
    assert (summary.finished, len(summary.trials), summary.count("failed")) == (6, 6, 0)
