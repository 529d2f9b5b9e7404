import multiprocessing
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from rdc_sweeps.data.batches import Batch, jointly_valid
from rdc_sweeps.data.loading import EvaluationBatches, TrainingBatches
from rdc_sweeps.data.mtan import NYUV2_LAYOUT, MtanFolder, open_mtan
from rdc_sweeps.data.scene import Scene
from rdc_sweeps.errors import DataError, UsageError
from rdc_sweeps.specs.base import Size, Task
from rdc_sweeps.specs.training import TrainingSpec

WriteMtan = Callable[..., Path]
SIZE: Size = (32, 64)


class Numbered:
    """Scenes whose pixels all are their index; counts what is read."""

    tasks: tuple[Task, ...] = ("semantic", "depth", "normal")
    classes: tuple[str, ...] = ("a", "b")
    size: Size = (4, 8)

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def image(self, index: int) -> NDArray[np.float32]:
        return np.full((*self.size, 3), index / 1000, dtype=np.float32)

    def scene(self, index: int, tasks: Any) -> Scene:
        return Scene(self.image(index), depth=np.full(self.size, index + 1, np.float32) if "depth" in tasks else None)


def training(
    count: int = 10, batch_size: int = 4, last_batch: Literal["dropped", "kept"] = "dropped", **options: Any
) -> TrainingBatches:
    mask = np.ones((count, 3), dtype=np.bool_)
    spec = TrainingSpec(batch_size=batch_size, last_batch=last_batch)
    return TrainingBatches(Numbered(count), mask, None, spec, **{"seed": 3, **options})


def indices_of(batches: TrainingBatches, epoch: int, start_step: int = 0) -> list[list[int]]:
    return [batch.indices.tolist() for batch in batches.epoch(epoch, start_step)]


def opened(root: Path) -> MtanFolder:
    return open_mtan(root / "train", NYUV2_LAYOUT, SIZE, "SETTING")


def the_same(first: Batch, second: Batch) -> bool:
    pairs = [(first.indices, second.indices), (first.granted, second.granted)]
    for one, other in zip(first.views, second.views, strict=True):
        pairs.append((one.image, other.image))
        pairs += [(one.labels[task], other.labels[task]) for task in one.labels]
        if one.regions is not None and other.regions is not None:
            pairs.append((one.regions, other.regions))
    return all(torch.equal(one, other) for one, other in pairs)


def test_a_batch_has_the_documented_shapes(write_mtan: WriteMtan) -> None:
    dataset = opened(write_mtan())
    mask = np.ones((6, 3), dtype=np.bool_)
    regions = {index: np.full(SIZE, index, dtype=np.int32) for index in range(6)}
    batches = TrainingBatches(dataset, mask, regions.__getitem__, TrainingSpec(batch_size=4), seed=0)
    (batch,) = list(batches.epoch(0))
    assert len(batch) == 4
    assert batch.granted.shape == (4, 3)
    assert batch.granted.dtype == torch.bool
    assert len(batch.views) == 2
    for view in batch.views:
        assert view.image.shape == (4, 3, 32, 64)
        assert view.image.dtype == torch.float32
        semantic, depth, normal = (view.labels[task] for task in dataset.tasks)
        assert (semantic.shape, semantic.dtype) == ((4, 32, 64), torch.int64)
        assert (depth.shape, depth.dtype) == ((4, 1, 32, 64), torch.float32)
        assert (normal.shape, normal.dtype) == ((4, 3, 32, 64), torch.float32)
        assert view.regions is not None
        assert (view.regions.shape, view.regions.dtype) == ((4, 32, 64), torch.int32)
        assert view.regions[:, 0, 0].tolist() == batch.indices.tolist()
    moved = batch.to("cpu")
    assert the_same(batch, moved)


def test_withheld_labels_are_void_and_never_read(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    dataset = opened(root)
    mask = np.zeros((6, 3), dtype=np.bool_)
    mask[np.arange(6), [0, 1, 2, 0, 1, 2]] = True

    def loaded() -> list[Batch]:
        batches = TrainingBatches(dataset, mask, None, TrainingSpec(batch_size=3), seed=0)
        return [*batches.epoch(0), *EvaluationBatches(dataset, mask, batch_size=4)]

    before = loaded()
    for index, grants in enumerate(mask):
        for name, granted in zip(("label", "depth", "normal"), grants, strict=True):
            path = root / "train" / name / f"{index}.npy"
            if not granted and index % 2:
                path.write_bytes(b"garbage")
            elif not granted:
                path.unlink()
    after = loaded()
    assert all(the_same(one, other) for one, other in zip(before, after, strict=True))
    for batch in after:
        for view in batch.views:
            for position, index in enumerate(batch.indices.tolist()):
                empty = {"semantic": -1, "depth": 0, "normal": 0}
                for column, task in enumerate(dataset.tasks):
                    label = view.labels[task][position]
                    assert (label == empty[task]).all() != mask[index, column]


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 40), batch_size=st.integers(1, 12), epoch=st.integers(0, 100), seed=st.integers(0, 2**40))
def test_an_epoch_has_every_row_at_most_once_in_full_batches(
    count: int, batch_size: int, epoch: int, seed: int
) -> None:
    batches = training(count, batch_size, seed=seed)
    indices = indices_of(batches, epoch)
    assert len(indices) == max(1, count // batch_size)
    assert {len(batch) for batch in indices} == {min(batch_size, count)}
    flat = [index for batch in indices for index in batch]
    assert len(set(flat)) == len(flat)
    assert set(flat) <= set(range(count))


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 40), batch_size=st.integers(1, 12), start=st.integers(0, 12), end=st.integers(0, 12))
def test_an_epoch_with_a_kept_last_batch_has_every_image_once(
    count: int, batch_size: int, start: int, end: int
) -> None:
    batches = training(count, batch_size, "kept")
    indices = indices_of(batches, 1)
    assert sorted(index for batch in indices for index in batch) == list(range(count))
    assert indices[: count // batch_size] == indices_of(training(count, batch_size), 1)[: count // batch_size]
    assert [batch.indices.tolist() for batch in batches.epoch(1, start, end)] == indices[start:end]


def test_batches_may_go_to_other_processes() -> None:
    # Where processes are not forked, workers get a pickled copy.
    batches = training(12)
    copied = pickle.loads(pickle.dumps(batches))
    assert all(the_same(one, other) for one, other in zip(batches.epoch(3), copied.epoch(3), strict=True))


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    assert indices_of(training(30), 2) == indices_of(training(30), 2)
    assert indices_of(training(30), 2) != indices_of(training(30), 3)
    assert indices_of(training(30), 2) != indices_of(training(30, seed=4), 2)


def test_a_resumed_epoch_continues_where_it_stopped() -> None:
    whole = list(training(20).epoch(1))
    rest = list(training(20).epoch(1, start_step=3))
    assert len(rest) == 2
    assert all(the_same(one, other) for one, other in zip(whole[3:], rest, strict=True))
    assert list(training(20).epoch(1, start_step=5)) == []


def test_augmentation_is_a_function_of_seed_epoch_and_row(write_mtan: WriteMtan) -> None:
    dataset = opened(write_mtan())
    mask = np.ones((6, 3), dtype=np.bool_)

    def images(batch_size: int, epoch: int) -> dict[int, torch.Tensor]:
        batches = TrainingBatches(dataset, mask, None, TrainingSpec(batch_size=batch_size), seed=0)
        return {
            index: image
            for batch in batches.epoch(epoch)
            for index, image in zip(batch.indices.tolist(), batch.views[1].image, strict=True)
        }

    one, other, later = images(2, 0), images(3, 0), images(3, 1)
    assert all(torch.equal(one[index], other[index]) for index in range(6))
    assert not all(torch.equal(one[index], later[index]) for index in range(6))


@pytest.mark.parametrize("world", [2, 3, 4])
def test_processes_share_each_batch(world: int) -> None:
    together = indices_of(training(22, 8), 5)
    shares = [indices_of(training(22, 8, rank=rank, world=world), 5) for rank in range(world)]
    assert [[index for share in shares for index in share[step]] for step in range(2)] == together


def test_processes_share_a_kept_last_batch() -> None:
    together = list(training(22, 8, "kept").epoch(5))
    shares = [list(training(22, 8, "kept", rank=rank, world=4).epoch(5)) for rank in range(4)]
    parts = [share[2] for share in shares]
    assert [index for part in parts for index in part.indices.tolist()] == together[2].indices.tolist()
    assert [part.fraction for part in parts] == [len(part) / 6 for part in parts]


def test_noise_and_fraction_of_a_share_are_those_of_its_images() -> None:
    together = list(training(22, 8).epoch(5))
    shares = [list(training(22, 8, rank=rank, world=3).epoch(5)) for rank in range(3)]
    for step, whole in enumerate(together):
        parts = [share[step] for share in shares]
        assert torch.equal(torch.cat([part.noise.keys for part in parts]), whole.noise.keys)
        assert [part.fraction for part in parts] == [len(part) / 8 for part in parts]
        assert whole.fraction == 1


def test_noise_follows_seed_epoch_step_and_image() -> None:
    keys = torch.cat([batch.noise.keys for epoch in (0, 1) for batch in training(22, 8).epoch(epoch)])
    assert len(keys.unique()) == len(keys)
    (resumed,) = training(22, 8).epoch(1, start_step=1)
    assert torch.equal(resumed.noise.keys, keys[-8:])
    for batch in training(22, 8).epoch(1):
        assert not torch.isin(batch.noise.keys, keys[:16]).any()


def test_fewer_images_than_processes_are_an_error() -> None:
    with pytest.raises(UsageError, match=r"training.batch_size: 3 images per step .* cannot be shared by 4 processes"):
        training(50, 3, world=4)
    assert training(50, 4, world=4)
    with pytest.raises(UsageError, match=r"2 images per step .*, or training.last_batch=dropped"):
        training(50, 4, "kept", world=4)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_an_evaluation(world: int) -> None:
    shares = [list(EvaluationBatches(Numbered(7), batch_size=2, rank=rank, world=world)) for rank in range(world)]
    assert sorted(index for share in shares for batch in share for index in batch.indices.tolist()) == list(range(7))
    assert shares[0][0].indices.tolist() == [0, 1]


def test_the_mask_must_be_that_of_the_data_set() -> None:
    with pytest.raises(UsageError, match=r"label mask: shape \(4, 3\), but the data set has 5 images and 3 tasks"):
        EvaluationBatches(Numbered(5), np.ones((4, 3), dtype=np.bool_), batch_size=2)


def test_evaluation_sees_all_images_in_order() -> None:
    batches = EvaluationBatches(Numbered(7), batch_size=3)
    assert len(batches) == 3
    assert [batch.indices.tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    (view,) = next(iter(batches)).views
    assert view.image[2, 0, 0, 0] == pytest.approx(0.002)
    assert view.labels["depth"][2, 0, 0, 0] == 3
    assert list(EvaluationBatches(Numbered(0), batch_size=3)) == []


def test_workers_change_nothing(write_mtan: WriteMtan) -> None:
    dataset = opened(write_mtan())
    mask = np.ones((6, 3), dtype=np.bool_)
    state = torch.get_rng_state()
    alone, helped = (
        list(TrainingBatches(dataset, mask, None, TrainingSpec(batch_size=2), seed=0, workers=n).epoch(1))
        for n in (0, 2)
    )
    assert all(the_same(one, other) for one, other in zip(alone, helped, strict=True))
    # Neither draws from the generator that initialisation and noise draw from.
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_surface_where_the_batch_would_have_come(write_mtan: WriteMtan, workers: int) -> None:
    root = write_mtan()
    dataset = opened(root)
    (root / "train/depth/3.npy").write_bytes(b"")
    batches = EvaluationBatches(dataset, batch_size=1, workers=workers)
    iterator = iter(batches)
    seen = [next(iterator).indices.tolist() for _ in range(3)]
    assert seen == [[0], [1], [2]]
    with pytest.raises(DataError, match=r"^[^\n]*depth/3\.npy: truncated"):
        next(iterator)


@pytest.mark.parametrize("workers", [0, 1])
def test_stopping_early_leaves_nothing_running(workers: int) -> None:
    before = set(threading.enumerate())
    batches = training(40, 2, workers=workers)
    for batch in batches.epoch(0):
        assert len(batch) == 2
        break
    iterator = batches.epoch(1)
    next(iterator)
    iterator.close()
    del iterator
    for thread in set(threading.enumerate()) - before:
        thread.join(10)  # A process's queue may still be closing.
    assert set(threading.enumerate()) <= before
    assert not multiprocessing.active_children()


def test_batches_that_are_kept_stay_as_they_are() -> None:
    loader = training(count=64, batch_size=4)
    kept, copies = [], []
    for batch, again in zip(loader.epoch(0), loader.epoch(0), strict=True):  # two threads share the memory
        kept.append(batch)
        copies.append(pickle.loads(pickle.dumps(batch)))
        assert torch.equal(batch.views[0].image, again.views[0].image)
    for batch, copy in zip(kept, copies, strict=True):
        for view, other in zip(batch.views, copy.views, strict=True):
            assert torch.equal(view.image, other.image)
            assert torch.equal(view.valid, other.valid)
            assert all(torch.equal(view.labels[task], other.labels[task]) for task in view.labels)


def test_labels_of_an_earlier_batch_do_not_stay() -> None:
    count = 32
    mask = np.random.default_rng(0).random((count, 3)) < 0.5
    loader = TrainingBatches(Numbered(count), mask, None, TrainingSpec(batch_size=4), seed=3)
    for epoch in range(2):
        for batch in loader.epoch(epoch):
            for view in batch.views:
                assert torch.equal((view.labels["depth"] > 0).flatten(1).all(1), batch.granted[:, 1])
                assert (view.labels["semantic"] == -1).all()
                assert (view.labels["normal"] == 0).all()


@pytest.mark.parametrize("crop", ["exact", "released"])
def test_valid_pixels_of_a_batch_are_those_of_its_labels(
    write_mtan: WriteMtan, crop: Literal["exact", "released"]
) -> None:
    root, rng = write_mtan(), np.random.default_rng(1)
    for name in ("label", "depth", "normal"):
        for index in range(6):
            path = root / "train" / name / f"{index}.npy"
            array = np.load(path)
            array[rng.random(SIZE) < 0.2] = -1 if name == "label" else 0
            np.save(path, array)
    dataset, mask = opened(root), rng.random((6, 3)) < 0.7
    spec = TrainingSpec.model_validate({"batch_size": 3, "augmentation": {"crop": crop, "flip": True}})
    batches = [*TrainingBatches(dataset, mask, None, spec, seed=0).epoch(0), *EvaluationBatches(dataset, batch_size=4)]
    for batch in batches:
        for view in batch.views:
            assert torch.equal(view.valid, jointly_valid(dataset.tasks, view.labels, batch.granted))
            assert not view.valid.all()


def test_a_label_that_a_data_set_lacks_is_valid_nowhere() -> None:
    for batch in (next(training().epoch(0)), next(iter(EvaluationBatches(Numbered(4), batch_size=2)))):
        for view in batch.views:
            assert not view.valid.any()


def test_a_pixel_is_valid_where_no_label_that_the_image_has_is_void() -> None:
    labels: dict[Task, Tensor] = {
        "semantic": torch.tensor([[[-1, 2]], [[-1, 2]]]),
        "depth": torch.tensor([[[[1.5, 0.0]]], [[[1.5, 0.0]]]]),
        "normal": torch.zeros(2, 3, 1, 2),
    }
    granted = torch.tensor([[True, False, False], [True, True, False]])
    assert jointly_valid(("semantic", "depth", "normal"), labels, granted).tolist() == [
        [[False, True]],
        [[False, False]],
    ]
