import logging
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.data.loading import EvaluationBatches, TrainingBatches
from rdc_sweeps.data.mtan import NYUV2_LAYOUT, NYUV2_LAYOUTS, MtanFolder, open_mtan
from rdc_sweeps.data.packed import PackedSplit, open_packed
from rdc_sweeps.data.packing import pack
from rdc_sweeps.data.roots import open_mtan_splits
from rdc_sweeps.data.scene import Dataset
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.training import TrainingSpec
from tests.aging import age
from tests.disks import mounted

WriteMtan = Callable[..., Path]
SIZE = (32, 64)
Array = np.ndarray[Any, Any]


@pytest.fixture
def root(write_mtan: WriteMtan) -> Path:
    root = write_mtan()
    age(root)
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def files_of(root: Path, size: tuple[int, int] = SIZE) -> MtanFolder:
    return open_mtan(root / "train", NYUV2_LAYOUT, size, "SETTING")


def opened(root: Path, cache: Path) -> PackedSplit:
    found = open_packed(files_of(root), cache)
    assert found is not None
    return found


def rewrite(path: Path, change: Callable[[Array], Array]) -> None:
    np.save(path, change(np.load(path)))


def every(root: Path, folder: str, change: Callable[[Array], Array]) -> None:
    for path in (root / "train" / folder).iterdir():
        rewrite(path, change)
    age(root)


def arrays_of(split: Dataset, index: int) -> dict[str, tuple[str, bytes] | None]:
    scene = split.scene(index, split.tasks)
    found = {field.name: getattr(scene, field.name) for field in fields(scene)}
    return {name: None if array is None else (str(array.dtype), array.tobytes()) for name, array in found.items()}


def assert_equal(packed: Dataset, files: Dataset) -> None:
    assert len(packed) == len(files)
    assert (packed.tasks, packed.classes, packed.size) == (files.tasks, files.classes, files.size)
    for index in range(len(files)):
        assert arrays_of(packed, index) == arrays_of(files, index)
        np.testing.assert_array_equal(packed.image(index), files.image(index))


def eight_bit(image: Array) -> Array:
    rounded: Array = np.rint(image * 255).astype(np.uint8)
    return rounded


CHANGES: dict[str, tuple[Callable[[Array], Array], ...]] = {
    "image": (
        lambda image: image,
        eight_bit,
        lambda image: (eight_bit(image) / 255).astype(np.float32),
        lambda image: (image * 65535).astype(np.uint16),
        lambda image: image.astype(np.float16),
        lambda image: image.astype(np.float64),
    ),
    "label": (lambda label: label, lambda label: label.astype(np.float64), lambda label: label[..., None]),
    "depth": (lambda depth: depth, lambda depth: depth.astype(np.float16), lambda depth: np.where(depth < 2, 0, depth)),
    "normal": (lambda normal: normal, lambda normal: normal.astype(np.float16), lambda normal: np.round(normal)),
}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.fixed_dictionaries({name: st.sampled_from(found) for name, found in CHANGES.items()}),
    some=st.sets(st.integers(0, 3)),
    size=st.sampled_from([SIZE, (32, 32), (64, 96)]),
)
def test_scenes_are_bit_for_bit_those_of_the_files(
    tmp_path_factory: pytest.TempPathFactory,
    write_mtan: WriteMtan,
    tmp_path: Path,
    changes: dict[str, Callable[[Array], Array]],
    some: set[int],
    size: tuple[int, int],
) -> None:
    """Of files of any type, of which only some may be exact in a smaller one, and of any size."""
    root = tmp_path / "nyuv2" if (tmp_path / "nyuv2").exists() else write_mtan(train=4, val=1)
    again = tmp_path_factory.mktemp("root") / "nyuv2"
    for path in sorted(root.rglob("*.npy")):
        target = again / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        array = np.load(path)
        np.save(target, changes[path.parent.name](array) if int(path.stem) in some else array)
    age(again)
    pack(files_of(again, size), again / "cache")
    packed = open_packed(files_of(again, size), again / "cache")
    assert packed is not None
    assert_equal(packed, files_of(again, size))


def test_the_smallest_exact_type_is_taken(root: Path, cache: Path) -> None:
    assert pack(files_of(root), cache).types == {
        "image": "float32", "semantic": "int8", "depth": "float32", "normal": "float32"
    }  # fmt: skip
    every(root, "image", eight_bit)
    every(root, "depth", lambda depth: depth.astype(np.float16))
    small = pack(files_of(root), cache).types
    assert (small["image"], small["depth"]) == ("uint8", "float16")
    # The last scene needs a larger type, when the others are written.
    rewrite(root / "train/image/5.npy", lambda image: (image / 255 * 0.99).astype(np.float32))
    age(root)
    assert pack(files_of(root), cache).types == {**small, "image": "float32"}
    assert_equal(opened(root, cache), files_of(root))


def test_many_classes_need_a_larger_type(root: Path, cache: Path) -> None:
    layout = NYUV2_LAYOUTS[13].__class__(tuple(f"class {number}" for number in range(300)), NYUV2_LAYOUT.labels)
    rewrite(root / "train/label/4.npy", lambda label: np.where(label == 3, 299, label))
    age(root)
    files = open_mtan(root / "train", layout, SIZE, "SETTING")
    assert pack(files, cache).types["semantic"] == "int16"
    packed = open_packed(files, cache)
    assert packed is not None
    assert_equal(packed, files)


def batches(split: Dataset) -> Iterator[Batch]:
    mask = np.random.default_rng(0).random((len(split), 3)) < 0.6
    regions = np.arange(6)[:, None, None] + np.zeros((6, *SIZE), np.int32)
    training = TrainingBatches(split, mask, regions.astype(np.int32).__getitem__, TrainingSpec(batch_size=2), seed=3)
    yield from training.epoch(1)
    yield from EvaluationBatches(split, batch_size=4)


def test_batches_are_bit_for_bit_those_of_the_files(root: Path, cache: Path) -> None:
    pack(files_of(root), cache)
    for one, other in zip(batches(opened(root, cache)), batches(files_of(root)), strict=True):
        assert torch.equal(one.indices, other.indices)
        for view, expected in zip(one.views, other.views, strict=True):
            assert torch.equal(view.image, expected.image)
            assert torch.equal(view.valid, expected.valid)
            assert view.labels.keys() == expected.labels.keys()
            assert all(torch.equal(label, expected.labels[task]) for task, label in view.labels.items())


def test_identity_is_that_of_the_files(root: Path, cache: Path) -> None:
    pack(files_of(root), cache)
    packed, files = opened(root, cache), files_of(root)
    assert packed.fingerprint() == files.fingerprint()
    assert packed.stamps([2, 0]) is not None
    assert str(packed.stamps([2, 0])) == str(files.stamps([2, 0]))


def test_readers_take_the_pack_of_each_split_by_themselves(root: Path, cache: Path) -> None:
    def kinds() -> list[type[Dataset]]:
        return [type(split) for split in open_mtan_splits("small", NYUV2_LAYOUT, SIZE, root, "SETTING", cache)]

    assert kinds() == [MtanFolder, MtanFolder]
    pack(files_of(root), cache)
    assert kinds() == [PackedSplit, MtanFolder]
    # At another size there is none.
    train, _ = open_mtan_splits("small", NYUV2_LAYOUT, (64, 64), root, "SETTING", cache)
    assert isinstance(train, MtanFolder)


def flip_a_pixel(path: Path) -> None:
    array = np.lib.format.open_memmap(path, mode="r+")
    array[3, 4] = 0.25
    array.flush()


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def flip_and_set_the_time_back(path: Path) -> None:
    before = path.stat()
    flip_a_pixel(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("folder", ["image", "depth"])
@pytest.mark.parametrize("change", [flip_a_pixel, append, flip_and_set_the_time_back])
def test_a_pack_of_changed_files_is_not_read(
    root: Path, cache: Path, caplog: pytest.LogCaptureFixture, change: Callable[[Path], None], folder: str
) -> None:
    pack(files_of(root), cache)
    path = root / "train" / folder / "2.npy"
    change(path)
    with caplog.at_level(logging.WARNING):
        assert open_packed(files_of(root), cache) is None
    assert f"not read from its pack: {path} has changed since it was packed; pack it again" in caplog.text
    caplog.clear()
    assert open_packed(files_of(root), cache) is None
    assert not caplog.text  # Said once.
    age(root)
    assert pack(files_of(root), cache).written
    assert_equal(opened(root, cache), files_of(root))


def test_only_the_pack_of_the_present_files_is_kept(root: Path, cache: Path) -> None:
    first = pack(files_of(root), cache)
    flip_a_pixel(root / "train/depth/1.npy")
    age(root)
    second = pack(files_of(root), cache)
    assert first.folder.parent == second.folder.parent
    assert [path for path in second.folder.parent.iterdir() if path.is_dir()] == [second.folder]


def test_another_number_of_files_is_noticed(root: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    pack(files_of(root), cache)
    for folder in NYUV2_LAYOUT.folders:
        (root / "train" / folder / "5.npy").unlink()
    assert open_packed(files_of(root), cache) is None
    assert "files have changed since it was packed" in caplog.text


def test_a_root_elsewhere_has_a_pack_of_its_own(root: Path, cache: Path) -> None:
    pack(files_of(root), cache)
    moved = root.with_name("moved")
    root.rename(moved)
    assert open_packed(files_of(moved), cache) is None


def test_files_that_have_just_changed_are_waited_for(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "train/image/0.npy").touch()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        age(root)

    monkeypatch.setattr("rdc_sweeps.data.packing.time.sleep", sleep)
    assert pack(files_of(root), cache).written
    assert len(waits) == 1


def test_files_that_change_while_they_are_packed_are_an_error(root: Path, cache: Path) -> None:
    def change(done: int, total: int) -> None:
        flip_a_pixel(root / "train/depth/1.npy")

    with pytest.raises(DataError, match="files were changed while they were packed; pack them again"):
        pack(files_of(root), cache, change)
    assert open_packed(files_of(root), cache) is None
    assert not list(cache.rglob("*.npy"))


def test_damaged_files_are_named(root: Path, cache: Path) -> None:
    rewrite(root / "train/label/3.npy", lambda label: label + 50)
    age(root)
    with pytest.raises(DataError, match=r"label/3\.npy: .* invalid label"):
        pack(files_of(root), cache)
    assert not list(cache.rglob("*.npy"))


def truncate(folder: Path) -> None:
    path = folder / "image.npy"
    os.truncate(path, path.stat().st_size - 4096)


def lose(folder: Path) -> None:
    (folder / "depth.npy").unlink()


def damage_the_record(folder: Path) -> None:
    path = folder / "pack.json"
    path.write_bytes(path.read_bytes().replace(b'"images":6', b'"images":5'))


def lose_the_record(folder: Path) -> None:
    (folder / "pack.json").unlink()


@pytest.mark.parametrize("harm", [truncate, lose, damage_the_record, lose_the_record])
def test_a_damaged_pack_is_not_read_and_written_again(
    root: Path, cache: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None]
) -> None:
    harm(pack(files_of(root), cache).folder)
    assert open_packed(files_of(root), cache) is None
    assert "not read from its pack" in caplog.text
    assert pack(files_of(root), cache).written
    assert_equal(opened(root, cache), files_of(root))


def test_packing_again_finds_every_changed_byte(root: Path, cache: Path) -> None:
    folder = pack(files_of(root), cache).folder
    assert not pack(files_of(root), cache).written
    with (folder / "normal.npy").open("r+b") as file:
        file.seek(-77, os.SEEK_END)
        file.write(b"x")
    assert pack(files_of(root), cache).written
    assert_equal(opened(root, cache), files_of(root))


def test_a_pack_that_cannot_be_written_is_an_error(root: Path, cache: Path) -> None:
    cache.mkdir()
    (cache / "packs").write_bytes(b"")
    with pytest.raises(DataError, match="free space or allow writing there, or set RDC_SWEEP_CACHE_ROOT"):
        pack(files_of(root), cache)


def refuse_a_small_disk(root: Path, cache: Path) -> None:
    with pytest.raises(DataError, match=r"No space left on device.*free space"):
        pack(files_of(root), cache)


def test_a_disk_that_is_too_small_is_an_error(root: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "100k") as disk:
        # In another process, which writing to mapped memory without disk space would kill.
        process = multiprocessing.get_context("fork").Process(target=refuse_a_small_disk, args=(root, disk.path))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert not list(disk.path.rglob("*.npy"))


def test_a_packing_that_was_killed_begins_again(root: Path, cache: Path) -> None:
    context = multiprocessing.get_context("fork")

    def kill(done: int, total: int) -> None:
        if done == 3:
            os._exit(9)

    process = context.Process(target=pack, args=(files_of(root), cache, kill))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert list(cache.rglob("image.npy"))
    assert open_packed(files_of(root), cache) is None
    report = pack(files_of(root), cache)
    assert_equal(opened(root, cache), files_of(root))
    assert [path.parent for path in cache.rglob("image.npy")] == [report.folder]


def test_two_processes_that_pack_at_once_write_one_pack(root: Path, cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=pack, args=(files_of(root), cache)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(list(cache.rglob("image.npy"))) == 1
    assert_equal(opened(root, cache), files_of(root))


def test_a_pack_travels_to_other_processes_without_its_arrays(root: Path, cache: Path) -> None:
    pack(files_of(root), cache)
    packed = opened(root, cache)
    packed.image(0)
    content = pickle.dumps(packed)
    assert len(content) < 20_000
    assert_equal(pickle.loads(content), files_of(root))


def test_a_pack_that_is_removed_stays_readable_for_those_who_opened_it(root: Path, cache: Path) -> None:
    pack(files_of(root), cache)
    packed, files = opened(root, cache), [arrays_of(files_of(root), index) for index in range(6)]
    every(root, "depth", lambda depth: depth + 1)
    assert pack(files_of(root), cache).folder != packed.folder
    assert not packed.folder.exists()
    assert [arrays_of(packed, index) for index in range(6)] == files


def test_what_is_changed_in_a_scene_stays_in_it(root: Path, cache: Path) -> None:
    pack(files_of(root), cache)
    scene = opened(root, cache).scene(0, ["depth", "normal"])
    for array in (scene.image, scene.depth, scene.normal):
        assert array is not None
        array[:] = 0
    assert_equal(opened(root, cache), files_of(root))


def test_indices_out_of_range_are_refused(root: Path, cache: Path) -> None:
    pack(files_of(root), cache)
    for index in (-1, 6):
        with pytest.raises(IndexError):
            opened(root, cache).image(index)
