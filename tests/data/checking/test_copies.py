import numpy as np
import pytest

from rdc_sweeps.data.checking import copies
from rdc_sweeps.data.checking.copies import most_alike, repeated_maps
from rdc_sweeps.data.checking.edges import signature, unit
from rdc_sweeps.data.checking.scenes import SceneMeasures


def scenes(count: int, seed: int, *, digest: bytes = b"") -> list[SceneMeasures]:
    """Scenes with random images."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(count):
        thumbnail = unit(rng.random((6, 8, 3)).astype(np.float32)).astype(np.float16)
        edges = signature(rng.random((12, 16)).astype(np.float32)).astype(np.float16)
        digests = {"depth": digest + bytes([index]), "image": b"same"}
        found.append(SceneMeasures(index, thumbnail=thumbnail, signatures={"image": edges}, digests=digests))
    return found


def test_the_same_image_is_found_in_another_split() -> None:
    train, test = scenes(9, 0), scenes(5, 1)
    (best,) = most_alike(train, test)
    assert not best.same
    train[7].thumbnail, train[7].signatures = test[2].thumbnail, test[2].signatures
    (copy,) = most_alike(train, test)
    assert (copy.first, copy.second, copy.same) == (7, 2, True)
    assert copy.correlation > 0.99


def test_an_image_is_no_copy_of_itself() -> None:
    train = scenes(9, 0)
    assert not most_alike(train, train)[0].same
    train[7].thumbnail, train[7].signatures = train[2].thumbnail, train[2].signatures
    (copy,) = most_alike(train, train)
    assert (copy.first, copy.second, copy.same) == (2, 7, True)
    one = train[:1]
    assert most_alike(one, one) == []


def test_many_images_are_compared_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = scenes(23, 0), scenes(9, 1)
    for place, source in ((3, 1), (21, 7)):
        train[place].thumbnail, train[place].signatures = test[source].thumbnail, test[source].signatures
    train[11].thumbnail, train[11].signatures = train[20].thumbnail, train[20].signatures
    whole = [most_alike(train, test), most_alike(train, train)]
    assert [sorted((copy.first, copy.second) for copy in one) for one in whole] == [[(3, 1), (21, 7)], [(11, 20)]]
    monkeypatch.setattr(copies, "CHUNK", 5)
    chunks = [most_alike(train, test), most_alike(train, train)]
    assert [{(copy.first, copy.second) for copy in one} for one in chunks] == [
        {(copy.first, copy.second) for copy in one} for one in whole
    ]


def test_the_same_colours_with_other_edges_are_another_image() -> None:
    train, test = scenes(9, 0), scenes(5, 1)
    train[7].thumbnail = test[2].thumbnail
    (best,) = most_alike(train, test)
    assert best.correlation > 0.99
    assert not best.same


def test_maps_that_are_there_twice_are_told_once() -> None:
    assert list(repeated_maps(scenes(9, 0))) == []
    assert list(repeated_maps([*scenes(1, 0), SceneMeasures(4, digests={"depth": b"\0"})])) == [("depth", 0, 4)]
