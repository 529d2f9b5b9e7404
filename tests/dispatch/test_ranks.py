import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from rdc_sweeps.data.loading import TrainingBatches
from rdc_sweeps.data.mtan import NYUV2_LAYOUT, open_mtan
from rdc_sweeps.data.packed import PackedSplit
from rdc_sweeps.data.packing import pack
from rdc_sweeps.data.roots import open_nyuv2
from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.dispatch.ranks import train_on
from rdc_sweeps.dispatch.worker import work
from rdc_sweeps.errors import DataError, DivergenceError, InfrastructureError, UsageError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.dataset import NyuV2Spec
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.training.checkpoints import load_checkpoint
from rdc_sweeps.training.loop import Training
from rdc_sweeps.training.setup import open_data
from tests.aging import age
from tests.tracking.observing import is_alive, wait_for
from tests.training.small import small_run
from tests.training.test_loop import Notes, assert_same, write_as_nyuv2

METHODS: dict[str, dict[str, Any]] = {
    "supervised": {"method": {"name": "supervised"}},
    "gaussian": {},
    "negatives of other images": {"method": {"contrast": {"name": "gaussian", "negatives": "images"}}},
    "sampled pixels": {"method": {"contrast": {"name": "pixel", "pixels_per_region": 4}}},
    "cross-task": {"method": {"name": "cross_task", "mapping": {"channels": [8, 8]}}},
    "dejavu": {"method": {"name": "dejavu", "channels": 4}},
}
GENTLE: dict[str, Any] = {
    "training": {"epochs": 2, "network": {"learning_rate": 1e-5}, "film": {"learning_rate": 1e-5}}
}
"""Small steps, so that rounding stays rounding; that steps of any size are exact is tested in tests/training."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    torch.set_num_threads(1)
    return Settings(cache_root=Path(tmp_path_factory.mktemp("cache")), device="cpu", wandb="disabled", threads=1)


def run(
    count: int, spec: RunSpec, settings: Settings, folder: Path, stop_after: int | None = None
) -> tuple[Training, Notes, dict[str, Any]]:
    build_missing_regions([spec], settings, lambda *_: None)
    notes = Notes()
    checkpoint = folder / "last.pt"
    training = train_on(
        count, spec, settings, checkpoint, [notes], lambda: stop_after is not None and len(notes.steps) >= stop_after
    )
    state = load_checkpoint(checkpoint, run_id(spec))
    assert state is not None
    return training, notes, state


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(changes, id=name, marks=[] if name in ("supervised", "gaussian") else [pytest.mark.slow])
        for name, changes in METHODS.items()
    ],
)
def test_two_processes_measure_what_one_measures(changes: dict[str, Any], settings: Settings, tmp_path: Path) -> None:
    spec = small_run({**changes, **GENTLE})
    alone, noted, state = run(1, spec, settings, tmp_path / "one")
    shared, notes, shared_state = run(2, spec, settings, tmp_path / "two")
    assert shared.finished
    assert (shared.parameters, shared.images) == (alone.parameters, alone.images)
    assert [step for step, _ in notes.steps] == [step for step, _ in noted.steps]
    for (step, one), (_, other) in zip(noted.steps, notes.steps, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            if name == "contrast/accuracy" or (step and name == "gradient_norm"):
                continue  # rounding grows fast in so small a network, and these show it first
            assert other[name] == pytest.approx(one[name], rel=0.05, abs=1e-3), name
    for epoch, again in zip(alone.history, shared.history, strict=True):
        assert epoch.validation is not None
        assert again.validation is not None
        for expected, found in ((epoch.test, again.test), (epoch.validation, again.validation)):
            assert expected.keys() == found.keys()
            for name, metric in expected.items():
                assert found[name] == (None if metric is None else pytest.approx(metric, rel=0.02, abs=0.2)), name
    for name, value in state["learner"].items():
        torch.testing.assert_close(shared_state["learner"][name], value, rtol=0.05, atol=0.05, msg=name)
    for (title, picture), (other_title, other_picture) in zip(noted.panels, notes.panels, strict=True):
        assert title == other_title
        assert picture.shape == other_picture.shape


def test_processes_clip_the_gradient_of_the_whole_batch(settings: Settings, tmp_path: Path) -> None:
    spec = small_run({"method": {"name": "supervised"}, "training": {"clip_norm": 0.5}})

    def clipped(count: int) -> torch.Tensor:
        """The gradient of the first step, after clipping: Adam's first moment is a tenth of it."""
        _, notes, state = run(count, spec, settings, tmp_path / str(count), stop_after=1)
        assert notes.steps[0][1]["gradient_norm"] > 0.5
        return 10 * torch.cat([one["exp_avg"].double().flatten() for one in state["optimizer"]["state"].values()])

    alone, shared = clipped(1), clipped(2)
    assert shared.norm().item() == pytest.approx(0.5, rel=1e-4)
    # Single precision in so small a network; that the sums are exact is tested in tests/training.
    assert (shared - alone).norm().item() < 0.05


@pytest.mark.slow
def test_a_run_resumes_with_any_number_of_processes(settings: Settings, tmp_path: Path) -> None:
    spec = small_run(GENTLE)
    _, noted, whole = run(2, spec, settings, tmp_path / "whole")
    for folder, counts in (("same", (2, 2)), ("fewer", (2, 1)), ("more", (1, 3))):
        stopped, first, _ = run(counts[0], spec, settings, tmp_path / folder, stop_after=1)
        assert not stopped.finished
        resumed, rest, state = run(counts[1], spec, settings, tmp_path / folder)
        assert resumed.finished
        assert [step for step, _ in first.steps + rest.steps] == [0, 1, 2, 3]
        assert rest.starts[0][0] == 1
        if counts == (2, 2):
            assert first.steps + rest.steps == noted.steps
            assert_same(state["learner"], whole["learner"])
            assert_same(state["optimizer"], whole["optimizer"])
        else:
            assert rest.steps[-1][1]["loss"] == pytest.approx(noted.steps[-1][1]["loss"], rel=0.02)


@pytest.mark.slow
def test_processes_train_on_a_pack_as_on_its_files(settings: Settings, tmp_path: Path) -> None:
    write_as_nyuv2(small_run(), settings, tmp_path / "data")
    age(tmp_path / "data")
    images = {"name": "nyuv2", "size": [64, 96], "validation_images": 4, "test_images": 4}
    spec = small_run({**GENTLE, "dataset": images, "labels": {"setting": "full"}})
    root = tmp_path / "data"
    found = settings.model_copy(update={"nyuv2_root": root, "cache_root": tmp_path / "cache", "workers": 1})
    _, noted, state = run(2, spec, found, tmp_path / "files")
    for split in ("train", "val"):
        assert pack(open_mtan(root / split, NYUV2_LAYOUT, (64, 96), "SETTING"), tmp_path / "cache").written
    assert isinstance(open_nyuv2(NyuV2Spec(size=(64, 96)), root, tmp_path / "cache")[0], PackedSplit)
    _, notes, packed_state = run(2, spec, found, tmp_path / "pack")
    assert notes.steps == noted.steps
    assert_same(packed_state["learner"], state["learner"])


class Striking(Notes):
    """Kills the other rank after a step."""

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        super().stepped(epoch, step, values)
        if step == 1:
            (other,) = multiprocessing.active_children()
            assert other.pid is not None
            os.kill(other.pid, signal.SIGKILL)


def test_a_killed_rank_ends_the_run(settings: Settings, tmp_path: Path) -> None:
    spec = small_run({"method": {"name": "supervised"}, "training": {"epochs": 50}})
    notes = Striking()
    with pytest.raises(InfrastructureError, match="rank 1 was killed by SIGKILL"):
        train_on(2, spec, settings, tmp_path / "last.pt", [notes])
    assert len(notes.steps) < 5
    assert multiprocessing.active_children() == []


def test_a_worker_tries_again_after_a_rank_was_killed(settings: Settings, tmp_path: Path) -> None:
    spec = small_run({"method": {"name": "supervised"}, "training": {"epochs": 1}})
    chosen = settings.model_copy(update={"root": tmp_path, "gpus_per_run": 2.0})
    directory = RunDirectory(tmp_path, run_id(spec))
    request_run(directory, spec)
    assert work(directory.id, chosen, observers=[Striking()]) == WorkerExit.RETRY
    assert directory.failure() is None
    assert work(directory.id, chosen) == WorkerExit.DONE
    result = directory.result()
    assert result is not None
    assert len(result.history) == 1


def test_an_error_in_another_rank_arrives_with_its_traceback(settings: Settings, tmp_path: Path) -> None:
    write_as_nyuv2(small_run(), settings, tmp_path / "data")
    images = {"name": "nyuv2", "size": [64, 96], "validation_images": 4, "test_images": 4}
    spec = small_run({"dataset": images, "method": {"name": "supervised"}, "labels": {"setting": "full"}})
    found = settings.model_copy(update={"nyuv2_root": tmp_path / "data"})
    data = open_data(spec, found)
    second = TrainingBatches(data.splits.train, data.train_mask, None, spec.training, seed=0, rank=1, world=2)
    row = next(iter(second.epoch(0))).indices[0].item()
    path = tmp_path / "data" / "train" / "image" / f"{row}.npy"
    np.save(path, np.full_like(np.load(path), np.nan))
    with pytest.raises(DataError, match=rf"{row}.npy") as raised:
        train_on(2, spec, found, tmp_path / "last.pt")
    (note,) = raised.value.__notes__
    assert note.startswith("This was raised in rank 1:\nTraceback")
    assert "scene" in note


def test_a_rank_that_cannot_start_is_an_error_that_says_why(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rdc_sweeps").mkdir()
    (tmp_path / "rdc_sweeps" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"its workers would import .*: install it"):
        train_on(2, small_run(), settings, tmp_path / "last.pt")


def test_an_error_of_all_ranks_is_raised_as_such(settings: Settings, tmp_path: Path) -> None:
    spec = small_run({"method": {"name": "supervised"}, "training": {"network": {"learning_rate": 1e18}, "epochs": 4}})
    with pytest.raises(DivergenceError, match=r"not finite"):
        train_on(2, spec, settings, tmp_path / "last.pt")


def test_more_processes_than_images_are_an_error_before_anything_starts(settings: Settings, tmp_path: Path) -> None:
    spec = small_run({"training": {"batch_size": 3}})
    with pytest.raises(UsageError, match=r"training.batch_size: 3 .* by 4 processes"):
        train_on(4, spec, settings, tmp_path / "last.pt")


ORPHANS = """
import sys
from pathlib import Path
from rdc_sweeps.dispatch.ranks import train_on
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec

class Saying:
    def started(self, *_): pass
    def evaluated(self, *_): pass
    def stepped(self, *_): print("step", flush=True)

if __name__ == "__main__":
    settings = Settings.model_validate_json(sys.argv[1])
    train_on(2, RunSpec.model_validate_json(sys.argv[2]), settings, Path(sys.argv[3]), [Saying()])
"""


@pytest.mark.slow
def test_ranks_end_with_the_first(settings: Settings, tmp_path: Path) -> None:
    spec = small_run({"method": {"name": "supervised"}, "training": {"epochs": 500}})
    script = tmp_path / "first.py"
    script.write_text(ORPHANS)
    chosen = settings.model_copy(update={"workers": 2})
    command: Sequence[str] = [sys.executable, str(script), chosen.model_dump_json(), spec.model_dump_json()]
    with subprocess.Popen([*command, str(tmp_path / "last.pt")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"step\n"
        others = psutil.Process(process.pid).children(recursive=True)
        assert others
        process.kill()
    wait_for(lambda: not any(is_alive(other.pid) for other in others))
