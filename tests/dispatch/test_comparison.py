"""Data that change between the beginning of a run and its end, or afterwards."""

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rdc_sweeps.data.provenance import DataRecord, difference
from rdc_sweeps.dispatch.comparison import DataComparison, other_counts
from rdc_sweeps.dispatch.plan import Planned, plan, prepare_directory
from rdc_sweeps.dispatch.ranks import train_on
from rdc_sweeps.dispatch.worker import work
from rdc_sweeps.regions.build import build_regions
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Catalogue, Run
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.provenance import describe_data
from rdc_sweeps.training.setup import open_data, open_generator, region_reader, stored_regions
from tests.data.conftest import write_mtan
from tests.training.small import small_run

__all__ = ["write_mtan"]

WriteMtan = Callable[..., Path]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
NYUV2 = {"name": "nyuv2", "size": [32, 64]}
SUPERVISED = {"dataset": NYUV2, "labels": {"setting": "full"}, "method": {"name": "supervised"}}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def settings(write_mtan: WriteMtan, tmp_path: Path) -> Settings:
    return Settings(
        root=tmp_path / "runs",
        cache_root=tmp_path / "cache",
        nyuv2_root=write_mtan(train=4, val=2),
        label_settings_root=tmp_path / "settings",
        weights_root=tmp_path,
        device="cpu",
        wandb="disabled",
        threads=1,
    )


def a_run(spec: RunSpec) -> Run:
    (run,) = Catalogue(EXPERIMENTS).runs("table3", "demo", rows=["one-patch-vector"], seeds=[0])
    return replace(run, spec=spec)


RUN = a_run(small_run({**SUPERVISED, "training": {"epochs": 1, "batch_size": 2}}))


def planned(settings: Settings, *, retry_failed: bool = False, rerun: bool = False) -> Planned:
    data = DataComparison(settings)
    (one,) = plan([RUN], settings.root, retry_failed=retry_failed, rerun=rerun, data=data)
    return one


def start(settings: Settings, steps: int | None = None) -> WorkerExit:
    """Work on the run as planned, for a number of steps or to its end."""
    prepare_directory(planned(settings, retry_failed=True), settings.root, rerun=False)
    stop = threading.Event()
    if steps == 0:
        stop.set()
    return work(RUN.id, settings, stop=stop)


def double_depth(settings: Settings) -> None:
    assert settings.nyuv2_root is not None
    for path in (settings.nyuv2_root / "train/depth").iterdir():
        np.save(path, np.load(path) * 2)


def test_a_checkpoint_of_other_data_is_not_resumed_until_they_are_back(settings: Settings) -> None:
    assert settings.nyuv2_root is not None
    directory = RunDirectory(settings.root, RUN.id)
    assert start(settings, steps=0) == WorkerExit.PREEMPTED
    assert planned(settings).action == "resume"
    backup = Path(shutil.copytree(settings.nyuv2_root, settings.nyuv2_root.with_name("backup")))
    double_depth(settings)
    one = planned(settings)
    assert (one.state, one.action, one.needs_decision) == ("preempted", "skip", True)
    assert "mean depth of the training images" in one.reason
    assert "put its data back, or train from the beginning with --rerun" in one.reason
    assert planned(settings, rerun=True).action == "train"
    # A worker that is started nevertheless, such as a requeued Slurm job, refuses as well.
    checkpoint = directory.checkpoint.read_bytes()
    assert work(RUN.id, settings) == WorkerExit.FAILED
    failure = directory.failure()
    assert failure is not None
    assert "was trained on other data (mean depth of the training images" in failure.cause
    assert directory.checkpoint.read_bytes() == checkpoint
    # The same data in another folder are no other data.
    back = settings.model_copy(update={"nyuv2_root": backup})
    assert planned(back, retry_failed=True).action == "resume"
    assert start(back) == WorkerExit.DONE
    result = directory.result()
    assert result is not None
    assert result.images == 4


def test_what_is_done_on_other_data_is_told(settings: Settings) -> None:
    assert start(settings) == WorkerExit.DONE
    record = RunDirectory(settings.root, RUN.id).data()
    assert record is not None
    assert (record.training_images, record.validation_images, record.test_images) == (4, 0, 2)
    assert planned(settings).other_data is None
    double_depth(settings)
    one = planned(settings)
    assert (one.state, one.action, one.needs_decision) == ("done", "skip", False)
    assert one.reason.startswith("has a result, but was trained on other data (mean depth of the training images")
    assert planned(settings, rerun=True).action == "train"
    # Without the data nothing is known about them.
    assert planned(settings.model_copy(update={"nyuv2_root": None})).other_data is None


def test_a_run_of_an_earlier_version_is_unknown_and_not_damaged(settings: Settings) -> None:
    assert start(settings, steps=0) == WorkerExit.PREEMPTED
    record = RunDirectory(settings.root, RUN.id).folder / "data.json"
    record.unlink()
    double_depth(settings)
    assert planned(settings).action == "resume"
    assert start(settings) == WorkerExit.DONE
    assert record.exists()
    record.unlink()
    assert planned(settings).other_data is None


def described(spec: RunSpec, settings: Settings) -> DataRecord:
    """The record of the data as they are now."""
    data = open_data(spec, settings)
    regions = region_reader(spec, data, settings)
    return describe_data(spec, settings, data.splits, regions=regions.digest if regions else None)


def opened(spec: RunSpec, settings: Settings, *, processes: int = 1) -> DataRecord:
    """The record of a training that is stopped before its first step."""
    records: list[DataRecord] = []
    checkpoint = settings.root / "last.pt"
    train_on(processes, spec, settings, checkpoint, stop=lambda: True, opened=records.append)
    checkpoint.unlink()
    (record,) = records
    return record


def test_the_record_is_the_same_with_any_number_of_loader_processes(settings: Settings) -> None:
    assert opened(RUN.spec, settings.model_copy(update={"workers": 2})) == described(RUN.spec, settings)


@pytest.mark.slow
def test_the_record_is_the_same_with_any_number_of_training_processes(settings: Settings) -> None:
    assert opened(RUN.spec, settings, processes=2) == described(RUN.spec, settings)


def test_another_label_setting_is_other_data(settings: Settings) -> None:
    spec = small_run({**SUPERVISED, "labels": {"setting": "onelabel", "origin": "published"}})
    assert settings.label_settings_root is not None
    path = settings.label_settings_root / "nyuv2_settings" / "onelabel.pth"
    path.parent.mkdir(parents=True)
    mask = torch.eye(3)[[0, 1, 2, 0]]
    torch.save({"labels_weights": mask}, path)
    then = described(spec, settings)
    torch.save({"labels_weights": mask.flip(0)}, path)
    assert difference(then, described(spec, settings)) == "other label setting"


def test_other_region_maps_are_other_data(settings: Settings) -> None:
    spec = small_run({"dataset": {**NYUV2, "size": [64, 96]}})
    source, images = stored_regions(spec), open_data(spec, settings).splits.train
    assert source is not None
    generator, store = open_generator(source, settings, "cpu")
    build_regions(images, generator, store)
    then = described(spec, settings)
    shutil.rmtree(store.folder)

    class Inverted:
        key = generator.key

        def __call__(self, image: np.ndarray) -> np.ndarray:
            ids = generator(image)
            inverted: np.ndarray = ids.max() - ids
            return inverted

    build_regions(images, Inverted(), store)
    assert difference(then, described(spec, settings)) == "other region maps"


def test_other_pretrained_weights_are_other_data(settings: Settings) -> None:
    pretrained = {"source": "file", "file": "weights.pth"}
    spec = small_run({**SUPERVISED, "backbone": {"name": "resnet18", "pretrained": pretrained}})
    assert settings.weights_root is not None
    path = settings.weights_root / "weights.pth"
    torch.save({"weight": torch.zeros(30_000)}, path)
    then = described(spec, settings)
    torch.save({"weight": torch.ones(30_000)}, path)
    assert difference(then, described(spec, settings)) == "other pretrained weights"
    path.unlink()
    assert described(spec, settings).weights is None


def test_numbers_of_images_are_compared_with_those_published(settings: Settings) -> None:
    paper = replace(RUN, profile=RUN.profile.model_copy(update={"comparable": True}))
    text = "nyuv2: has 4 training and 2 test images, but 795 and 654 are published"
    assert other_counts([RUN], settings) == [(text, False)]
    assert other_counts([RUN, paper], settings) == [(text, True)]
    assert other_counts([RUN], settings.model_copy(update={"nyuv2_root": None})) == []
    assert other_counts([a_run(small_run())], settings) == []
