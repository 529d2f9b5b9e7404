from pathlib import Path

import pytest
import torch

from rdc_sweeps.dispatch.lifecycle import FAILED, RETRY
from rdc_sweeps.dispatch.plan import plan, prepare_directory
from rdc_sweeps.dispatch.worker import work
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs.catalogue import Catalogue


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_node_without_a_usable_gpu_does_not_train_on_its_cpu(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path / "runs", cache_root=tmp_path / "cache", device="cuda", retries=1)
    runs = Catalogue(experiments_folder(settings)).runs("table3", "demo", rows=["one-patch-vector"], seeds=[0])
    (planned,) = plan(runs, settings.root)
    prepare_directory(planned, settings.root, rerun=False)
    assert [work(planned.run.id, settings) for _ in range(2)] == [RETRY, FAILED]
    failure = RunDirectory(settings.root, planned.run.id).failure()
    assert failure is not None
    assert "no GPU can be used here" in failure.cause
