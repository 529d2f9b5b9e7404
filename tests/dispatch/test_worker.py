import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from rdc_sweeps.dispatch.plan import plan, prepare_directory
from rdc_sweeps.dispatch.worker import work
from rdc_sweeps.reporting.images import kept_predictions, kept_scores
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs import run as run_specs
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.training import TrainingLength
from rdc_sweeps.training.observers import EpochRecord, Panel
from tests.training.small import small_run


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_node_without_a_usable_gpu_does_not_train_on_its_cpu(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path / "runs", cache_root=tmp_path / "cache", device="cuda", retries=1)
    runs = Catalogue(experiments_folder(settings)).runs("table3", "demo", rows=["one-patch-vector"], seeds=[0])
    (planned,) = plan(runs, settings.root)
    prepare_directory(planned, settings.root, rerun=False)
    assert [work(planned.run.id, settings) for _ in range(2)] == [WorkerExit.RETRY, WorkerExit.PARKED]
    directory = RunDirectory(settings.root, planned.run.id)
    assert directory.state() == "preempted"
    assert "no GPU can be used here" in str(directory.attempts()[-1])


def test_a_run_planned_by_an_older_version_is_not_trained_as_if_it_were_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(root=tmp_path / "runs", cache_root=tmp_path / "cache", device="cpu")
    spec = Catalogue(experiments_folder(settings)).runs("table3", "demo", rows=["one-patch-vector"], seeds=[0])[0].spec
    with monkeypatch.context() as earlier:
        earlier.setattr(run_specs, "SCHEMA_VERSION", run_specs.SCHEMA_VERSION - 1)
        old = run_specs.run_id(spec)
        request_run(RunDirectory(settings.root, old), spec)
    assert work(old, settings) == WorkerExit.FAILED
    directory = RunDirectory(settings.root, old)
    failure = directory.failure()
    assert failure is not None
    assert f"is not the spec of this run, but of run {run_specs.run_id(spec)}" in failure.cause
    assert not directory.checkpoint.exists()


def test_another_runs_spec_is_not_trained(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path / "runs", cache_root=tmp_path / "cache", device="cpu")
    runs = Catalogue(experiments_folder(settings)).runs("table3", "demo", rows=["one-patch-vector"], seeds=[0, 1])
    directory = RunDirectory(settings.root, runs[0].id)
    request_run(directory, runs[1].spec)
    assert work(runs[0].id, settings) == WorkerExit.FAILED
    assert not directory.checkpoint.exists()
    failure = directory.failure()
    assert failure is not None
    assert f"is not the spec of this run, but of run {runs[1].id}" in failure.cause
    request_run(directory, runs[0].spec)
    assert directory.read_spec() == runs[0].spec


def test_a_done_run_keeps_the_scores_of_the_epochs_that_rules_select(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    settings = Settings(
        root=tmp_path / "runs", cache_root=tmp_path / "cache", device="cpu", wandb="disabled", threads=1, heartbeat=0.1
    )
    spec = small_run(
        {"method": {"name": "supervised"}, "training": {"epochs": 3, "keep_predictions": {"images": [1], "side": 48}}}
    )
    directory = RunDirectory(settings.root, run_specs.run_id(spec))
    request_run(directory, spec)
    stop = threading.Event()
    assert work(directory.id, settings, observers=[StopsAfter(3, stop)], stop=stop) == WorkerExit.PREEMPTED
    assert kept_scores(directory) is None
    assert work(directory.id, settings) == WorkerExit.DONE
    result = directory.result()
    assert result is not None
    selected = {one.epoch for one in result.selected.values() if one}
    names = {f"scores-{epoch}.npz" for epoch in selected}
    assert {path.name for path in directory.images.iterdir()} == names | {"predictions.npz"}
    for rule, one in result.selected.items():
        scores = kept_scores(directory, rule)  # type: ignore[arg-type]
        assert one is not None
        assert scores is not None
        assert scores.epoch == one.epoch
        depth = np.average(scores.values["aErr"], weights=scores.pixels["depth"])
        assert depth == pytest.approx(one.metrics["aErr"])
    predictions = kept_predictions(directory)
    assert predictions is not None
    assert (predictions.epoch, predictions.images.tolist()) == (2, [1])
    assert predictions.inputs.shape == (1, 32, 48, 3)


class StopsAfter:
    """An observer that stops the training after some steps."""

    def __init__(self, steps: int, stop: threading.Event) -> None:
        self.steps, self.stop = steps, stop

    def started(self, step: int, length: TrainingLength) -> None:
        pass

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        if step + 1 >= self.steps:
            self.stop.set()

    def evaluated(self, record: EpochRecord, step: int, panels: Sequence[Panel]) -> None:
        pass
