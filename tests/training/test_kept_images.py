"""What a training keeps of its test images: scores by the meters, and predictions if they are asked for."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rdc_sweeps.data.loading import EvaluationBatches
from rdc_sweeps.dispatch.ranks import train_on
from rdc_sweeps.errors import DamagedError, UsageError
from rdc_sweeps.metrics.meters import MultiTaskMeter
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.specs.training import PredictionsSpec
from rdc_sweeps.training.checkpoints import load_checkpoint
from rdc_sweeps.training.collectors import ScoreCollector
from rdc_sweeps.training.inference import predictions_of_checkpoint, scores_of_checkpoint, trained
from rdc_sweeps.training.loop import Training, train
from rdc_sweeps.training.predictions import ImagePredictions, half_precision, predictions_file, reduced, reduced_size
from rdc_sweeps.training.scores import ImageScores, class_iou, scores_file
from rdc_sweeps.training.splits import open_splits

from .small import small_run

SUPERVISED: dict[str, Any] = {"method": {"name": "supervised"}, "training": {"keep_predictions": {"images": [3, 1]}}}


def run(
    spec: RunSpec, settings: Settings, folder: Path, *, steps: int | None = None, processes: int = 1
) -> tuple[Training, dict[str, Any]]:
    """Train, and return the last checkpoint; files of the images are in `folder`/images."""
    taken = iter(range(10**6))

    def stop() -> bool:
        return steps is not None and next(taken) >= steps

    training = train_on(processes, spec, settings, folder / "last.pt", stop=stop, images=folder / "images")
    state = load_checkpoint(folder / "last.pt", run_id(spec))
    assert state is not None
    return training, state


@pytest.fixture(scope="module")
def spec() -> RunSpec:
    return small_run(SUPERVISED)


@pytest.fixture(scope="module")
def whole(spec: RunSpec, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Training, Any]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    return folder, *run(spec, settings, folder)


def scores(folder: Path, spec: RunSpec, epoch: int) -> ImageScores:
    found = ImageScores.load(scores_file(folder / "images", epoch), run_id(spec))
    assert found is not None
    return found


def test_every_epoch_has_scores_that_add_up_to_its_metrics(spec: RunSpec, whole: tuple[Path, Training, Any]) -> None:
    folder, training, _ = whole
    assert {path.name for path in (folder / "images").iterdir()} == {
        "scores-0.npz", "scores-1.npz", "predictions.npz"
    }  # fmt: skip
    for record in training.history:
        found = scores(folder, spec, record.epoch)
        assert found.epoch == record.epoch
        assert found.images.tolist() == [0, 1, 2, 3]
        for task, names in (("depth", ("aErr", "aErr_released", "rErr")), ("normal", ("mErr", "mErr_released"))):
            for name in names:
                mean = np.average(found.values[name], weights=found.pixels[task])  # type: ignore[index]
                assert mean == pytest.approx(record.test[name])
        assert found.confusion is not None
        per_class = found.class_iou()
        assert per_class is not None
        assert np.nanmean(per_class) == pytest.approx(record.test["mIoU"])
        assert np.array_equal(found.pixels["semantic"], found.confusion.sum(axis=(1, 2)))


def test_the_scores_of_an_image_are_those_of_the_meters(
    spec: RunSpec, settings: Settings, whole: tuple[Path, Training, Any]
) -> None:
    folder, _, state = whole
    found = scores(folder, spec, 1)
    scene = open_splits(spec.dataset, root=None, cache=settings.cache_root).test.scene(2, spec.dataset.tasks)
    meter = MultiTaskMeter(spec.dataset.tasks, len(spec.dataset.classes))
    with torch.no_grad():
        outputs = trained(spec, state["learner"], settings).network(
            torch.from_numpy(scene.image).permute(2, 0, 1)[None]
        )
    assert scene.semantic is not None
    assert scene.depth is not None
    assert scene.normal is not None
    labels = {
        "semantic": torch.from_numpy(scene.semantic.astype(np.int64))[None],
        "depth": torch.from_numpy(scene.depth)[None, None],
        "normal": torch.from_numpy(scene.normal).permute(2, 0, 1)[None],
    }
    meter.update(outputs, labels)
    expected = meter.compute()
    assert found.of_image(2) == {name: pytest.approx(value, rel=1e-4) for name, value in expected.items()}
    assert found.of_image(99) == {}


def test_a_resumed_training_keeps_the_same_bytes(
    spec: RunSpec, settings: Settings, whole: tuple[Path, Training, Any], tmp_path: Path
) -> None:
    folder = whole[0]
    stopped, _ = run(spec, settings, tmp_path, steps=3)
    assert not stopped.finished
    run(spec, settings, tmp_path)
    for path in (folder / "images").iterdir():
        assert (tmp_path / "images" / path.name).read_bytes() == path.read_bytes()


def test_what_is_kept_can_be_computed_from_the_checkpoint(
    spec: RunSpec, settings: Settings, whole: tuple[Path, Training, Any]
) -> None:
    folder, _, state = whole
    kept = scores(folder, spec, 1)
    again = scores_of_checkpoint(spec, state["learner"], 1, settings)
    for name, values in kept.values.items():
        assert np.array_equal(values, again.values[name])
    stored = ImagePredictions.load(predictions_file(folder / "images"), run_id(spec))
    assert stored is not None
    assert stored.images.tolist() == [3, 1]
    computed = predictions_of_checkpoint(spec, state["learner"], 1, settings, PredictionsSpec(images=(1,)))
    assert (stored.place(1), computed.place(1), computed.place(3)) == (1, 0, None)
    assert np.array_equal(stored.inputs[1], computed.inputs[0])
    for task, maps in stored.predicted.items():
        assert maps.dtype == computed.predicted[task].dtype
        assert np.array_equal(stored.truth[task][1], computed.truth[task][0])
        # Another batch may round in another way.
        close = np.isclose(maps[1].astype(float), computed.predicted[task][0].astype(float), rtol=0.01, atol=0.01)
        assert close.mean() > 0.999


def test_pretrained_weights_are_not_read_for_a_checkpoint(
    spec: RunSpec, settings: Settings, whole: tuple[Path, Training, Any]
) -> None:
    elsewhere = spec.backbone.model_copy(update={"pretrained": {"source": "file", "file": "gone.pth"}})
    moved = spec.model_copy(update={"backbone": elsewhere})
    learner = trained(moved, whole[2]["learner"], settings)
    assert not learner.training


@pytest.mark.slow
def test_two_processes_keep_what_one_keeps(spec: RunSpec, settings: Settings, tmp_path: Path) -> None:
    gentle = spec.model_copy(
        update={
            "training": spec.training.model_copy(
                update={"network": spec.training.network.model_copy(update={"learning_rate": 1e-7})}
            )
        }
    )
    for processes in (1, 2):
        run(gentle, settings, tmp_path / str(processes), processes=processes)
    one, two = (scores(tmp_path / str(processes), gentle, 1) for processes in (1, 2))
    for name, values in one.values.items():
        assert two.values[name] == pytest.approx(values, rel=0.02, abs=0.2)
    for task, counts in one.pixels.items():
        assert np.array_equal(counts, two.pixels[task])
    kept = [ImagePredictions.load(predictions_file(tmp_path / name / "images"), run_id(gentle)) for name in "12"]
    assert kept[0] is not None
    assert kept[1] is not None
    assert np.array_equal(kept[0].inputs, kept[1].inputs)
    assert np.array_equal(kept[0].truth["normal"], kept[1].truth["normal"])


def test_training_does_not_depend_on_what_is_kept(
    settings: Settings, whole: tuple[Path, Training, Any], tmp_path: Path
) -> None:
    without = small_run({"method": {"name": "supervised"}})
    training = train(without, settings, tmp_path / "last.pt", images=tmp_path / "images")
    assert run_id(without) == run_id(small_run(SUPERVISED))
    assert training.history == whole[1].history
    assert not predictions_file(tmp_path / "images").exists()


def test_images_that_do_not_exist_are_refused_before_the_training(settings: Settings, tmp_path: Path) -> None:
    # Not `small_run`, which knows how many there are to be; of stored data, there may be fewer.
    keep = PredictionsSpec(images=(4,))
    fitting = small_run({"method": {"name": "supervised"}})
    beyond = fitting.model_copy(update={"training": fitting.training.model_copy(update={"keep_predictions": keep})})
    with pytest.raises(UsageError, match=r"keep_predictions.images: 4, but there are 4 test images"):
        train(beyond, settings, tmp_path / "last.pt")


@pytest.mark.parametrize("change", ["truncated", "flipped", "another run's"])
def test_a_damaged_file_is_told(change: str, spec: RunSpec, whole: tuple[Path, Training, Any], tmp_path: Path) -> None:
    content = scores_file(whole[0] / "images", 1).read_bytes()
    path, run_of = tmp_path / "scores-1.npz", run_id(spec)
    if change == "truncated":
        content = content[:-40]
    elif change == "flipped":
        content = content[:100] + bytes([content[100] ^ 1]) + content[101:]
    else:
        run_of = "0" * 16
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"scores-1.npz: is damaged .*computed from the run's checkpoint"):
        ImageScores.load(path, run_of)
    assert ImageScores.load(tmp_path / "scores-2.npz", run_of) is None


def test_spread_images_are_spread() -> None:
    assert PredictionsSpec(images=4).positions(10) == (0, 2, 5, 7)
    assert PredictionsSpec(images=8).positions(3) == (0, 1, 2)
    assert PredictionsSpec(images=(2, 2, 0)).positions(3) == (2, 0)


def test_maps_are_reduced_to_their_nearest_pixels() -> None:
    assert reduced_size((288, 384), 256) == (192, 256)
    assert reduced_size((64, 96), 256) == (64, 96)
    grid = np.arange(16.0).reshape(1, 4, 4)
    assert reduced(grid, (2, 2)).tolist() == [[[5.0, 7.0], [13.0, 15.0]]]
    assert half_precision(np.array([1e9, -1e9, np.nan]))[:2].tolist() == [65504.0, -65504.0]


def test_void_and_many_classes_survive_a_file(tmp_path: Path) -> None:
    for classes in (13, 300):
        semantic = np.array([[[-1, 0, classes - 1]]], dtype=np.int16)
        kept = ImagePredictions(0, np.array([7]), np.zeros((1, 1, 3, 3), np.uint8), {"semantic": semantic}, {})
        kept.save(tmp_path / "x.npz", "run")
        again = ImagePredictions.load(tmp_path / "x.npz", "run")
        assert again is not None
        assert again.truth["semantic"].tolist() == semantic.tolist()
        assert again.predicted == {}


def test_the_iou_of_a_class() -> None:
    confusion = np.array([[3, 1, 0], [2, 2, 0], [0, 0, 0]])
    assert class_iou(confusion).tolist()[:2] == [50.0, 40.0]
    assert np.isnan(class_iou(confusion)[2])


def test_an_image_without_valid_pixels_has_no_score(
    spec: RunSpec, settings: Settings, whole: tuple[Path, Training, Any]
) -> None:
    test = open_splits(spec.dataset, root=None, cache=settings.cache_root).test
    mask = np.ones((4, 3), dtype=np.bool_)
    mask[2] = [True, False, True]
    collector = ScoreCollector(4, partial(MultiTaskMeter, spec.dataset.tasks, len(spec.dataset.classes)))
    network = trained(spec, whole[2]["learner"], settings).network
    for batch in EvaluationBatches(test, mask, batch_size=4):
        with torch.no_grad():
            collector.add(batch, network(batch.views[0].image))
    found = collector.scores(1)
    assert np.isnan(found.values["aErr"]).tolist() == [False, False, True, False]
    assert not np.isnan(found.values["mErr"]).any()
    assert found.pixels["depth"][2] == 0
    assert set(found.of_image(2)) == {"mIoU", "pixAcc", "mErr", "mErr_released"}
