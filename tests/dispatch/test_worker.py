from pathlib import Path

import pytest
import torch

from rdc_sweeps.dispatch.plan import plan, prepare_directory
from rdc_sweeps.dispatch.worker import work
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs import run as run_specs
from rdc_sweeps.specs.catalogue import Catalogue


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
