"""Alignment as an objective: what trials are chosen by, and runs that were trained without the probes it needs."""

import shutil
from pathlib import Path

import pytest

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tuning.study import Study
from rdc_sweeps.tuning.study_report import build_study_report
from rdc_sweeps.tuning.study_workers import work_on_study
from rdc_sweeps.tuning.summary import summarise
from tests.tuning.conftest import EXPERIMENTS, Open, Where
from tests.tuning.simulation import Simulation, alignment, metrics, settings

EPOCHS = 3
ALIGNMENT = "objective: {name: alignment, images: 8}\n"


def work(study: Study, trials: int) -> int:
    root = study.folder.root
    return work_on_study(root, study.name, settings(root), trials, work=Simulation())


def test_trials_are_chosen_by_alignment_alone(journal: Where, opened: Open) -> None:
    study = opened(journal, 4, ALIGNMENT + "seeds: [0, 4]\npruner: {name: none}", epochs=EPOCHS)
    assert work(study, 4) == WorkerExit.DONE
    summary = summarise(study)
    assert summary.objective == "alignment of region_contrast"
    for trial in summary.trials:
        first, second = study.runs(trial.values)
        assert trial.value == pytest.approx((alignment(first, EPOCHS - 1) + alignment(second, EPOCHS - 1)) / 2)
        assert trial.curve == pytest.approx(
            {epoch: alignment(first, epoch - 1) for epoch in range(1, EPOCHS + 1)}
            | {
                EPOCHS + epoch: (alignment(first, EPOCHS - 1) + alignment(second, epoch - 1)) / 2
                for epoch in range(1, EPOCHS + 1)
            }
        )
    assert summary.best is not None
    assert summary.best.value == max(trial.value or 0.0 for trial in summary.trials)
    # No baseline is trained for it.
    assert len(list(journal.root.glob("*/result.json"))) == 8


def test_pruning_acts_on_it_and_validation_metrics_are_only_shown(journal: Where, opened: Open) -> None:
    study = opened(journal, 8, ALIGNMENT + "seeds: [0, 4]", epochs=EPOCHS)
    work(study, 8)
    report = build_study_report(study, Catalogue(EXPERIMENTS))
    assert report.metrics == ("mIoU", "aErr", "mErr")
    assert report.summary.count("pruned")
    for trial in report.summary.trials:
        if trial.phase == "pruned":
            assert trial.number not in report.validation
            assert trial.curve[1] == pytest.approx(alignment(study.runs(trial.values)[0], 0))
            continue
        found = [metrics(run, EPOCHS - 1) for run in study.runs(trial.values)]
        means = {name: ((found[0][name] or 0.0) + (found[1][name] or 0.0)) / 2 for name in report.metrics}
        assert report.validation[trial.number] == pytest.approx(means)
    # The simulation's alignment is best where its metrics are worst.
    best = report.summary.best
    assert best is not None
    assert report.validation[best.number]["mIoU"] == min(one["mIoU"] for one in report.validation.values())
    # A damaged run hides its own metrics alone.
    (journal.root / best.runs["4"] / "result.json").write_text("{}")
    damaged = build_study_report(study, Catalogue(EXPERIMENTS))
    assert damaged.validation == {**report.validation, best.number: {}}


@pytest.mark.parametrize("probe", ["null", "{every: 1, images: 7}"])
def test_a_run_without_the_probes_of_a_study_is_not_used_silently(
    probe: str, tmp_path: Path, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "runs"
    other = f"objective: {{name: metric, metric: mIoU}}\nset: {{training: {{probe: {probe}}}}}"
    work(opened(Where(root, "other", None), 1, other, epochs=EPOCHS), 1)
    study = opened(Where(root, "aligned", None), 1, ALIGNMENT, epochs=EPOCHS)
    (directory,) = (RunDirectory(root, path.parent.name) for path in root.glob("*/result.json"))
    directory.checkpoint.unlink()
    assert work(study, 1) == WorkerExit.FAILED
    assert f"{directory.folder}: was trained without the probes of this study" in caplog.text
    assert summarise(study).count("interrupted") == 1
    # As the message asks.
    shutil.move(directory.folder, tmp_path / "away")
    assert work(study, 1) == WorkerExit.DONE
    (trial,) = summarise(study).trials
    assert list(trial.curve) == list(range(1, EPOCHS + 1))


def test_probes_that_another_study_asked_for_as_well_are_used(tmp_path: Path, opened: Open) -> None:
    root = tmp_path / "runs"
    other = "objective: {name: metric, metric: mIoU}\nset: {training: {probe: {every: 2, images: 8}}}"
    work(opened(Where(root, "other", None), 1, other, epochs=EPOCHS), 1)
    study = opened(Where(root, "aligned", None), 1, ALIGNMENT, epochs=EPOCHS)
    assert work(study, 1) == WorkerExit.DONE
    (trial,) = summarise(study).trials
    assert trial.curve == pytest.approx({epoch: alignment(study.tuned.run, epoch - 1) for epoch in (2, 3)})


def test_a_run_that_goes_on_is_probed_from_then_on(tmp_path: Path, opened: Open) -> None:
    root = tmp_path / "runs"
    other = opened(Where(root, "other", None), 8, "sampler: {name: random}", epochs=EPOCHS)
    work(other, 8)
    study = opened(
        Where(root, "aligned", None), 8, ALIGNMENT + "sampler: {name: random}\npruner: {name: none}", epochs=EPOCHS
    )
    pruned = [trial for trial in summarise(other).trials if trial.phase == "pruned"]
    # The other trials are finished, without probes and with what is no checkpoint.
    for trial in summarise(other).trials:
        if trial not in pruned:
            shutil.rmtree(root / trial.runs["0"])
    assert work(study, 8) == WorkerExit.DONE
    trials = summarise(study).trials
    assert pruned
    for before in pruned:
        assert trials[before.number].runs == before.runs
        assert list(trials[before.number].curve) == list(range(before.epochs + 1, EPOCHS + 1))
