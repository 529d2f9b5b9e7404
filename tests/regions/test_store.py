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
from rdc_sweeps.regions.store import MAX_REGIONS, RegionStore

KEY = generator_key({"source": "test"})
DIGEST = "ab" * 16


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
    got = store.get(DIGEST)
    assert got is not None
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, ids)


def test_nothing_stored_is_none(tmp_path: Path) -> None:
    assert RegionStore(tmp_path, KEY).get(DIGEST) is None


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write region maps"):
        RegionStore(tmp_path / "file", KEY).put(DIGEST, np.zeros((2, 2), np.int32))


def test_generators_do_not_share_a_folder_and_say_what_they_are(tmp_path: Path) -> None:
    store = RegionStore(tmp_path, KEY)
    store.put(DIGEST, np.zeros((2, 2), np.int32))
    other = RegionStore(tmp_path, generator_key({"source": "test", "segments": 2}))
    assert other.get(DIGEST) is None
    assert json.loads((store.folder / "generator.json").read_text()) == {"source": "test"}
    assert RegionStore(tmp_path, KEY).get(DIGEST) is not None


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
    got = store.get(DIGEST)
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
        np.testing.assert_array_equal(store.get(DIGEST), ids)


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
    with pytest.raises(DataError, match=r"7 of 9 images \(indices 1, 3, 4, 5, 6, ...\).*`rdc-sweep regions build`"):
        store.reader(images)
