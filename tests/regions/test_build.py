import json
import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rdc_sweeps.errors import DataError
from rdc_sweeps.regions.build import BuildReport, Shard, build_regions
from rdc_sweeps.regions.generator import generator_key, image_digest
from rdc_sweeps.regions.store import RegionStore

SCRIPT = Path(__file__).with_name("building.py")


class Pictures:
    def __init__(self, seeds: list[int]) -> None:
        self.seeds = seeds

    def __len__(self) -> int:
        return len(self.seeds)

    def image(self, index: int) -> NDArray[np.float32]:
        return np.random.default_rng(self.seeds[index]).random((6, 8, 3)).astype(np.float32)


class Brightness:
    """Ids of dark and bright pixels, and how often it was asked."""

    key = generator_key({"source": "brightness"})

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, image: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
        self.calls += 1
        return np.where(np.rint(image[..., 0] * 255) > 127, 1, 0).astype(np.int32)


def build(root: Path, images: Pictures, generator: Brightness) -> BuildReport:
    return build_regions(images, generator, RegionStore(root, generator.key))


def start(
    root: Path, images: int, *, seconds: float = 0, shard: tuple[int, int] = (0, 1), hold: int = 0
) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(root), str(images), str(seconds), *map(str, shard), str(hold)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, int]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    report: dict[str, int] = json.loads(out.splitlines()[-1])
    return report


def assert_complete(root: Path, images: int) -> None:
    generator = Brightness()
    pictures = Pictures(list(range(images)))
    reader = RegionStore(root, generator.key).reader(pictures)
    for row in range(images):
        np.testing.assert_array_equal(reader(row), generator(pictures.image(row)))


def test_maps_are_computed_once(tmp_path: Path) -> None:
    generator = Brightness()
    assert build(tmp_path, Pictures([0, 1, 2]), generator) == BuildReport(built=3, reused=0)
    assert build(tmp_path, Pictures([2, 5, 0, 1]), generator) == BuildReport(built=1, reused=3)
    assert generator.calls == 4


def test_equal_images_share_a_map(tmp_path: Path) -> None:
    assert build(tmp_path, Pictures([7, 7, 7]), Brightness()) == BuildReport(built=1, reused=2)


def test_no_images(tmp_path: Path) -> None:
    assert build(tmp_path, Pictures([]), Brightness()) == BuildReport()


def test_progress_counts_every_image(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    generator = Brightness()
    store = RegionStore(tmp_path, generator.key)
    for _ in range(2):
        build_regions(Pictures([0, 1, 2]), generator, store, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)] * 2


def test_builders_start_at_different_images_so_that_they_share_the_work(tmp_path: Path) -> None:
    class Watched(Pictures):
        def image(self, index: int) -> NDArray[np.float32]:
            visited.append(index)
            return super().image(index)

    starts = set()
    for _ in range(20):
        visited: list[int] = []
        build(tmp_path, Watched(list(range(30))), Brightness())
        assert sorted(visited) == list(range(30))
        starts.add(visited[0])
    assert len(starts) > 1


@pytest.mark.parametrize("keep", [0, 20, -1])
def test_a_damaged_map_is_computed_again_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, keep: int
) -> None:
    images = Pictures([0, 1, 2])
    build(tmp_path, images, Brightness())
    path = RegionStore(tmp_path, Brightness.key).path(image_digest(images.image(1)))
    path.write_bytes(path.read_bytes()[:keep])
    with caplog.at_level(logging.WARNING):
        assert build(tmp_path, images, Brightness()) == BuildReport(built=1, reused=2)
    assert str(path) in caplog.text
    assert_complete(tmp_path, 3)


def test_images_without_any_region_are_counted_and_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Nothing(Brightness):
        def __call__(self, image: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
            return np.full(image.shape[:2], -1, np.int32)

    for reused in (0, 2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            report = build(tmp_path, Pictures([0, 1]), Nothing())
        assert report == BuildReport(built=2 - reused, reused=reused, without_regions=2)
        assert "2 of 2 images have no region" in caplog.text


def test_an_interrupted_build_resumes_where_it_stopped(tmp_path: Path) -> None:
    class Interrupted(Brightness):
        def __call__(self, image: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().__call__(image)

    images = Pictures([0, 1, 2, 3, 4])
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, images, Interrupted())
    assert build(tmp_path, images, Brightness()) == BuildReport(built=3, reused=2)
    assert_complete(tmp_path, 5)


def test_a_killed_build_resumes_where_it_stopped(tmp_path: Path) -> None:
    process = start(tmp_path, 40, hold=5)
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL

    report = finish(start(tmp_path, 40))
    assert report == {"built": 35, "reused": 5}
    assert_complete(tmp_path, 40)


def test_two_builders_share_the_work(tmp_path: Path) -> None:
    builders = [start(tmp_path, 60, seconds=0.02) for _ in range(2)]
    reports = [finish(builder) for builder in builders]
    assert all(report["built"] + report["reused"] == 60 for report in reports)
    assert sum(report["built"] for report in reports) >= 60
    assert_complete(tmp_path, 60)


@given(st.integers(0, 50), st.integers(1, 12))
def test_shards_are_a_partition_of_the_images(total: int, of: int) -> None:
    parts = [list(Shard(index, of).images(total)) for index in range(of)]
    assert sorted(image for part in parts for image in part) == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_shard_computes_and_reads_only_its_images(tmp_path: Path) -> None:
    class Watched(Pictures):
        def image(self, index: int) -> NDArray[np.float32]:
            visited.append(index)
            return super().image(index)

    visited: list[int] = []
    images, generator, calls = Watched(list(range(7))), Brightness(), []
    store = RegionStore(tmp_path, generator.key)

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    assert build_regions(images, generator, store, progress, Shard(1, 3)) == BuildReport(built=2)
    assert sorted(visited) == [1, 4]
    assert calls == [(1, 2), (2, 2)]
    assert build_regions(images, generator, store, shard=Shard(8, 9)) == BuildReport()
    assert build(tmp_path, images, generator) == BuildReport(built=5, reused=2)


def test_shards_beside_a_killed_one_do_their_own_work_and_its_next_start_the_rest(tmp_path: Path) -> None:
    killed = start(tmp_path, 40, seconds=0.02, shard=(0, 2))
    assert killed.stdout is not None
    for _ in range(4):
        killed.stdout.readline()
    images, generator = Pictures(list(range(40))), Brightness()
    store = RegionStore(tmp_path, generator.key)
    other = build_regions(images, generator, store, shard=Shard(1, 2))
    killed.kill()
    killed.communicate()
    assert other == BuildReport(built=20)
    again = build_regions(images, generator, store, shard=Shard(0, 2))
    assert again.built + again.reused == 20
    assert again.reused >= 4
    assert_complete(tmp_path, 40)


def test_a_map_of_another_shape_is_computed_again(tmp_path: Path) -> None:
    images, generator = Pictures([0, 1]), Brightness()
    build(tmp_path, images, generator)
    store = RegionStore(tmp_path, generator.key)
    np.savez_compressed(store.path(image_digest(images.image(0))), regions=np.zeros((8, 6), np.uint16))
    assert build(tmp_path, images, generator) == BuildReport(built=1, reused=1)
    store.reader(images)


class Transposed(Brightness):
    """A generator that confuses height and width."""

    def __call__(self, image: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
        return super().__call__(image).T


def test_a_generator_that_returns_another_shape_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"shape \(8, 6\) for an image of shape \(6, 8\)"):
        build(tmp_path, Pictures([0]), Transposed())
