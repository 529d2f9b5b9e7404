import contextlib
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from rdc_sweeps.errors import DataError
from rdc_sweeps.regions.generator import generator_key, image_digest
from rdc_sweeps.regions.packed import MAX_REGIONS
from rdc_sweeps.regions.store import RegionStore
from tests.data.damage import mutations

KEY = generator_key({"source": "test"})
DIGEST = "ab" * 16
SHAPE = (2, 2)


class Pictures:
    def __init__(self, count: int) -> None:
        self.pixels: NDArray[np.float32] = np.random.default_rng(0).random((count, 6, 8, 3)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.pixels)

    def image(self, index: int) -> NDArray[np.float32]:
        image: NDArray[np.float32] = self.pixels[index]
        return image


def filled(root: Path, images: Pictures, indices: Sequence[int]) -> RegionStore:
    store = RegionStore(root, KEY)
    for index in indices:
        store.put(image_digest(images.image(index)), np.full((6, 8), index, np.int32))
    return store


@given(arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-1, MAX_REGIONS - 1)))
def test_what_is_put_is_got(tmp_path_factory: pytest.TempPathFactory, ids: NDArray[np.int32]) -> None:
    store = RegionStore(tmp_path_factory.mktemp("store"), KEY)
    store.put(DIGEST, ids)
    got = store.get(DIGEST, ids.shape)
    assert got is not None
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, ids)


def test_nothing_stored_is_none(tmp_path: Path) -> None:
    assert RegionStore(tmp_path, KEY).get(DIGEST, SHAPE) is None


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write region maps"):
        RegionStore(tmp_path / "file", KEY).put(DIGEST, np.zeros((2, 2), np.int32))


def test_generators_do_not_share_a_folder_and_say_what_they_are(tmp_path: Path) -> None:
    store = RegionStore(tmp_path, KEY)
    store.put(DIGEST, np.zeros((2, 2), np.int32))
    other = RegionStore(tmp_path, generator_key({"source": "test", "segments": 2}))
    assert other.get(DIGEST, SHAPE) is None
    assert json.loads((store.folder / "generator.json").read_text()) == {"source": "test"}
    assert RegionStore(tmp_path, KEY).get(DIGEST, SHAPE) is not None


def test_too_many_regions_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    store = RegionStore(tmp_path, KEY)
    with pytest.raises(DataError, match="coarser"):
        store.put(DIGEST, np.full((2, 2), MAX_REGIONS, np.int32))
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_the_old_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RegionStore(tmp_path, KEY)
    store.put(DIGEST, np.zeros((2, 2), np.int32))

    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match=r"no space left.*RDC_SWEEP_CACHE_ROOT"):
        store.put(DIGEST, np.ones((2, 2), np.int32))
    got = store.get(DIGEST, SHAPE)
    assert got is not None
    assert not got.any()
    assert len(list(store.path(DIGEST).parent.iterdir())) == 1


@given(st.data())
def test_damage_is_noticed_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    store = RegionStore(tmp_path_factory.mktemp("store"), KEY)
    ids = np.arange(48, dtype=np.int32).reshape(6, 8) - 1
    store.put(DIGEST, ids)
    path = store.path(DIGEST)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="truncate"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        np.testing.assert_array_equal(store.get(DIGEST, (6, 8)), ids)


def test_the_reader_finds_each_rows_map_and_travels_to_other_processes(tmp_path: Path) -> None:
    images = Pictures(4)
    store = filled(tmp_path, images, range(4))
    calls: list[tuple[int, int]] = []
    reader = pickle.loads(pickle.dumps(store.reader(images, lambda done, total: calls.append((done, total)))))
    assert len(reader) == 4
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for index in (3, 0, 2, 2):
        assert (reader(index) == index).all()
    reader(1)[:] = 9
    assert (reader(1) == 1).all()


def test_the_reader_names_all_that_is_missing_or_damaged(tmp_path: Path) -> None:
    images = Pictures(9)
    store = filled(tmp_path, images, [0, 1, 2])
    path = store.path(image_digest(images.image(1)))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(
        DataError,
        match=r"no sound region map for 7 of 9 images \(indices 1, 3, 4, 5, 6, ...\).*`rdc-sweep regions build`",
    ):
        store.reader(images)


def test_maps_in_each_others_place_are_damaged(tmp_path: Path) -> None:
    images = Pictures(2)
    store = filled(tmp_path, images, [0, 1])
    one, two = (store.path(image_digest(images.image(index))) for index in range(2))
    two.write_bytes(one.read_bytes())
    with pytest.raises(DataError, match="it is the map test-"):
        store.get(image_digest(images.image(1)), (6, 8))
    with pytest.raises(DataError, match=r"1 of 2 images \(indices 1\)"):
        store.reader(images)


def test_a_map_of_another_generator_is_damaged(tmp_path: Path) -> None:
    store, other = (RegionStore(tmp_path, generator_key({"source": "test", "segments": number})) for number in (1, 2))
    other.put(DIGEST, np.zeros(SHAPE, np.int32))
    store.path(DIGEST).parent.mkdir(parents=True)
    store.path(DIGEST).write_bytes(other.path(DIGEST).read_bytes())
    with pytest.raises(DataError, match="it is the map test-"):
        store.get(DIGEST, SHAPE)


@pytest.mark.parametrize(
    "stored",
    [
        np.zeros((8, 6), np.uint16),
        np.zeros((6, 8, 1), np.uint16),
        np.zeros(48, np.uint16),
        np.zeros((6, 8), np.float32),
        np.zeros((6, 8), np.int64),
    ],
)
def test_a_map_of_another_shape_or_type_is_damaged(tmp_path: Path, stored: NDArray[Any]) -> None:
    images = Pictures(1)
    store = filled(tmp_path, images, [0])
    np.savez_compressed(store.path(image_digest(images.image(0))), regions=stored)
    with pytest.raises(DataError, match=r"damaged .*shape"):
        store.get(image_digest(images.image(0)), (6, 8))
    with pytest.raises(DataError, match="1 of 1 images"):
        store.reader(images)


def test_maps_of_earlier_versions_which_name_no_owner_are_read(tmp_path: Path) -> None:
    images = Pictures(1)
    store = filled(tmp_path, images, [0])
    before = store.reader(images)
    np.savez_compressed(store.path(image_digest(images.image(0))), regions=np.zeros((6, 8), np.uint16))
    after = store.reader(images)
    assert not after(0).any()
    assert after.digest == before.digest


def test_the_readers_digest_is_of_the_maps_and_their_order(tmp_path: Path) -> None:
    images = Pictures(3)
    first = filled(tmp_path / "first", images, [0, 1, 2]).reader(images)
    again = filled(tmp_path / "again", images, [2, 1, 0]).reader(images)
    assert first.digest == again.digest
    other = filled(tmp_path / "other", images, [0, 1, 2])
    other.put(image_digest(images.image(1)), np.full((6, 8), 7, np.int32))
    assert other.reader(images).digest != first.digest


@pytest.mark.slow
def test_three_thousand_mutated_maps_are_noticed_or_harmless(tmp_path: Path) -> None:
    store = RegionStore(tmp_path, KEY)
    ids = np.random.default_rng(0).integers(-1, 40, (24, 32)).astype(np.int32)
    store.put(DIGEST, ids)
    path = store.path(DIGEST)
    noticed = 0
    for mutated in mutations(path.read_bytes(), 3000):
        path.write_bytes(mutated)
        try:
            np.testing.assert_array_equal(store.get(DIGEST, ids.shape), ids)
        except DataError:
            noticed += 1
    assert noticed > 2500
