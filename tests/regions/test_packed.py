import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rdc_sweeps.data.mtan import NYUV2_LAYOUT, MtanFolder
from rdc_sweeps.data.scene import Subset
from rdc_sweeps.errors import DataError
from rdc_sweeps.regions.build import BuildReport, build_regions
from rdc_sweeps.regions.packed import RegionReader
from rdc_sweeps.regions.store import RegionStore, image_key
from rdc_sweeps.specs.dataset import RoomsSpec
from rdc_sweeps.synthetic.rooms.scenes import ROOMS
from tests.aging import age
from tests.data.damage import mutations
from tests.regions.building import KEY, Brightness

COUNT = 5


class Counted(MtanFolder):
    """Counts the images that are read."""

    reads = 0

    def image(self, index: int) -> NDArray[np.float32]:
        self.reads += 1
        return super().image(index)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "train" / "image"
    folder.mkdir(parents=True)
    for index in range(COUNT):
        np.save(folder / f"{index}.npy", np.random.default_rng(index).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    age(folder)
    return tmp_path


def opened(root: Path) -> Counted:
    return Counted(root / "train", NYUV2_LAYOUT, (32, 32), COUNT)


def store_of(root: Path) -> RegionStore:
    return RegionStore(root / "cache", KEY)


def maps(reader: RegionReader) -> list[list[list[int]]]:
    return [reader(index).tolist() for index in range(len(reader))]


def change(path: Path) -> None:
    """Change one pixel in place."""
    array = np.lib.format.open_memmap(path, mode="r+")
    array[3, 4, 0] ^= 128
    array.flush()


def test_images_are_read_once(root: Path) -> None:
    images, store = opened(root), store_of(root)
    assert build_regions(images, Brightness(), store) == BuildReport(built=COUNT)
    assert images.reads == COUNT
    known = store_of(root).reader(images)
    assert build_regions(images, Brightness(), store) == BuildReport(reused=COUNT)
    assert images.reads == COUNT
    read = store.read([image_key(images.image(index)) for index in range(COUNT)])
    assert maps(known) == maps(read) == [Brightness()(images.image(index)).tolist() for index in range(COUNT)]
    assert known.digest == read.digest


def test_the_first_run_keeps_what_it_read(root: Path) -> None:
    images, store = opened(root), store_of(root)
    for index in range(COUNT):
        store.put(image_key(images.image(index)).digest, Brightness()(images.image(index)))
    images.reads = 0
    first, second = store.reader(images), store.reader(images)
    assert images.reads == COUNT
    assert maps(first) == maps(second)
    assert first.digest == second.digest


@pytest.mark.parametrize("keeps_its_time", [False, True])
def test_an_image_that_has_changed_in_one_pixel_gets_no_map_of_before(root: Path, keeps_its_time: bool) -> None:
    images, store = opened(root), store_of(root)
    build_regions(images, Brightness(), store)
    path = root / "train/image/2.npy"
    before = path.stat()
    change(path)
    if keeps_its_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match=r"no sound region map for 1 of 5 images \(indices 2\)"):
        store.reader(images)
    assert build_regions(images, Brightness(), store) == BuildReport(built=1, reused=COUNT - 1)
    assert maps(store.reader(images))[2] == Brightness()(images.image(2)).tolist()


def test_swapped_images_keep_their_own_maps(root: Path) -> None:
    images, store = opened(root), store_of(root)
    build_regions(images, Brightness(), store)
    before = maps(store.reader(images))
    folder = root / "train/image"
    (folder / "0.npy").rename(folder / "spare")
    (folder / "1.npy").rename(folder / "0.npy")
    (folder / "spare").rename(folder / "1.npy")
    after = maps(store.reader(images))
    assert after == [before[1], before[0], *before[2:]]
    assert before[0] != before[1]


def test_a_subset_has_the_maps_of_its_images(root: Path) -> None:
    images, store = opened(root), store_of(root)
    build_regions(images, Brightness(), store)
    some = Subset(images, np.array([3, 1]))
    every, first, second = store.reader(images), store.reader(some), store.reader(some)
    assert maps(first) == maps(second) == [maps(every)[3], maps(every)[1]]


def test_images_that_have_just_changed_are_read_again(root: Path) -> None:
    """Within a tick of the disk's clock, they could change again unnoticed."""
    images, store = opened(root), store_of(root)
    (root / "train/image/0.npy").touch()
    build_regions(images, Brightness(), store)
    images.reads = 0
    store.reader(images)
    assert images.reads == COUNT


def replaced(store: RegionStore, digest: str) -> None:
    store.put(digest, np.zeros((32, 32), np.int32))


def lost(store: RegionStore, digest: str) -> None:
    store.path(digest).unlink()


def damaged(store: RegionStore, digest: str) -> None:
    store.path(digest).write_bytes(store.path(digest).read_bytes()[:-9])


def test_other_maps_in_the_store_are_read(root: Path) -> None:
    images, store = opened(root), store_of(root)
    build_regions(images, Brightness(), store)
    before = store.reader(images)
    replaced(store, image_key(images.image(1)).digest)
    after = store.reader(images)
    assert maps(after)[1] == np.zeros((32, 32), int).tolist()
    assert after.digest != before.digest


@pytest.mark.parametrize("harm", [lost, damaged])
def test_maps_that_are_lost_or_damaged_are_computed_again(
    root: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[RegionStore, str], None]
) -> None:
    images, store = opened(root), store_of(root)
    build_regions(images, Brightness(), store)
    harm(store, image_key(images.image(1)).digest)
    with pytest.raises(DataError, match=r"no sound region map for 1 of 5 images \(indices 1\)"):
        store.reader(images)
    with caplog.at_level(logging.WARNING):
        assert build_regions(images, Brightness(), store) == BuildReport(built=1, reused=COUNT - 1)
    assert ("damaged region map" in caplog.text) == (harm is damaged)
    assert maps(store.reader(images))[1] == Brightness()(images.image(1)).tolist()


def packed_file(store: RegionStore) -> Path:
    (path,) = (store.folder / "packed").iterdir()
    return path


@pytest.mark.parametrize("count", [30, pytest.param(1500, marks=pytest.mark.slow)])
def test_a_damaged_file_of_all_maps_is_not_used(root: Path, count: int) -> None:
    images, store = opened(root), store_of(root)
    build_regions(images, Brightness(), store)
    path, expected = packed_file(store), maps(store.reader(images))
    sound = path.read_bytes()
    for mutated in mutations(sound, count):
        path.write_bytes(mutated)
        assert maps(store.reader(images)) == expected
        # It is written again.
        assert path.read_bytes() == sound


def test_the_file_of_all_maps_of_other_images_is_not_used(root: Path) -> None:
    images, store = opened(root), store_of(root)
    build_regions(images, Brightness(), store)
    expected, of_all = maps(store.reader(images)), packed_file(store)
    some = Subset(images, np.array([3, 1]))
    store.reader(some)
    (of_some,) = set((store.folder / "packed").iterdir()) - {of_all}
    of_some.write_bytes(of_all.read_bytes())
    assert maps(store.reader(some)) == [expected[3], expected[1]]


def test_a_run_needs_not_write(root: Path) -> None:
    images, store = opened(root), store_of(root)
    build_regions(images, Brightness(), store)
    packed_file(store).unlink()
    (store.folder / "packed").rmdir()
    (store.folder / "packed").write_bytes(b"no folder")
    assert len(store.reader(images)) == COUNT


def test_several_readers_at_once(root: Path) -> None:
    images, store = opened(root), store_of(root)
    build_regions(images, Brightness(), store)
    packed_file(store).unlink()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: maps(store_of(root).reader(opened(root))), range(8)))
    assert found == [found[0]] * 8


def test_rendered_images_are_known_by_what_determines_them(tmp_path: Path) -> None:
    def split(**fields: Any) -> Any:
        return ROOMS.splits(RoomsSpec.model_validate({"size": (32, 32), "train_images": 2, **fields}), tmp_path)[0]

    store = store_of(tmp_path)
    build_regions(split(), Brightness(), store)
    first = store.reader(split())
    assert maps(first) == [Brightness()(split().image(index)).tolist() for index in range(2)]
    assert packed_file(store)
    with pytest.raises(DataError, match="no sound region map for 2 of 2 images"):
        store.reader(split(seed=1))
