"""What every import promises, whatever it reads."""

import hashlib
import json
import multiprocessing
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.data.importing import engine
from rdc_sweeps.data.importing.engine import ImportReport, import_source
from rdc_sweeps.data.importing.record import UNFINISHED
from rdc_sweeps.data.mtan import NYUV2_LAYOUT, MtanLayout
from rdc_sweeps.data.roots import open_mtan_splits
from rdc_sweeps.data.scene import Dataset
from rdc_sweeps.errors import DataError, InfrastructureError, RdcError, UsageError
from rdc_sweeps.files import try_lock, unlock
from tests.data.importing.sources import SIZE, SmallSource


def contents(root: Path) -> dict[str, str]:
    """The digests of all files of a root, with hidden ones."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def opened(root: Path) -> tuple[Dataset, Dataset]:
    return open_mtan_splits("small", NYUV2_LAYOUT, SIZE, root, "SETTING")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_scenes_are_read_as_the_source_has_them(root: Path) -> None:
    source = SmallSource()
    assert import_source(source, root, workers=1) == ImportReport(written=5, kept=0)
    train, val = opened(root)
    assert (len(train), len(val)) == (3, 2)
    wanted = source.scene("val", 1)
    scene = val.scene(1, val.tasks)
    np.testing.assert_array_equal(scene.image, wanted["image"] / np.float32(255))
    for task in ("semantic", "depth"):
        np.testing.assert_array_equal(getattr(scene, task), wanted[task])
    assert scene.normal is not None
    np.testing.assert_allclose(scene.normal, wanted["normal"], atol=1e-6)


def test_the_number_of_workers_does_not_matter(root: Path, tmp_path: Path) -> None:
    import_source(SmallSource(), root, workers=2)
    import_source(SmallSource(), tmp_path / "one", workers=1)
    assert contents(root) == contents(tmp_path / "one")


def test_the_record_says_what_was_imported(root: Path) -> None:
    import_source(SmallSource(settings={"size": (32, 64)}), root, workers=1)
    record = json.loads((root / "import.json").read_text())
    assert record["source"] == {"name": "small", "size": [32, 64], "counts": {"train": 3, "val": 2}}
    assert not (root / UNFINISHED).exists()


def with_scenes(train: Sequence[str], val: Sequence[str] = ("d", "e"), **replaced: AnyArray) -> SmallSource:
    """A source with digests of its scenes."""
    return SmallSource(settings={"scenes": {"train": list(train), "val": list(val)}}, replaced=replaced)


def test_scenes_that_have_changed_are_read_again(root: Path) -> None:
    import_source(with_scenes("abc"), root, workers=1)
    other = np.full((*SIZE, 3), 200, dtype=np.uint8)
    other[0] = 7
    before = contents(root / "train")
    changed = with_scenes("aXc", image=other)
    assert import_source(changed, root, workers=1) == ImportReport(written=1, kept=4)
    after = contents(root / "train")
    assert {path for path in before if before[path] != after[path]} == {"image/1.npy"}
    assert import_source(changed, root, workers=1) == ImportReport(written=0, kept=5)


def test_a_changed_scene_that_cannot_be_read_does_not_stay_as_it_was(root: Path) -> None:
    import_source(with_scenes("abc"), root, workers=1)
    with pytest.raises(DataError):
        import_source(with_scenes("aXc", image=np.zeros((*SIZE, 3), np.uint8)), root, workers=1)
    assert not (root / "train/image/1.npy").exists()
    with pytest.raises(DataError, match="import unfinished"):
        opened(root)
    assert import_source(with_scenes("aYc"), root, workers=1) == ImportReport(written=1, kept=4)
    assert len(opened(root)[0]) == 3


def test_a_layout_with_fewer_tasks_has_fewer_folders(root: Path) -> None:
    import_source(SmallSource(layout=MtanLayout(("a",) * 13, {"semantic": "mask"}, image="photo")), root, workers=1)
    assert {path.name for path in (root / "train").iterdir()} == {"photo", "mask"}


def import_alone(source: SmallSource, root: Path, workers: int) -> int | None:
    process = multiprocessing.get_context("spawn").Process(
        target=import_source, args=(source, root), kwargs={"workers": workers}
    )
    process.start()
    process.join(60)
    return process.exitcode


def test_an_import_that_was_killed_is_continued_with_the_same_bytes(root: Path, tmp_path: Path) -> None:
    trigger = tmp_path / "train-2"
    trigger.touch()
    source = SmallSource(killed_at=trigger)
    assert import_alone(source, root, workers=1) == -9
    # Killed while it wrote, too: one file of a scene is there, another is half-written.
    done = contents(root / "train")
    (root / "train/depth/1.npy").rename(root / UNFINISHED / ".1.npy.1.abcd")
    with pytest.raises(DataError, match="import unfinished; run the same `rdc-sweep data import` command again"):
        opened(root)
    before = {path: path.stat().st_mtime_ns for path in (root / "train").rglob("0.npy")}
    assert import_source(source.without_kill(), root, workers=1) == ImportReport(written=4, kept=1)
    assert {path: path.stat().st_mtime_ns for path in (root / "train").rglob("0.npy")} == before
    assert done.items() <= contents(root / "train").items()
    import_source(source.without_kill(), tmp_path / "whole", workers=1)
    assert contents(root) == contents(tmp_path / "whole")


def test_a_killed_worker_ends_the_import_with_the_remedy(root: Path, tmp_path: Path) -> None:
    trigger = tmp_path / "val-1"
    trigger.touch()
    source = SmallSource(killed_at=trigger)
    with pytest.raises(InfrastructureError, match="repeat the command with fewer --workers"):
        import_source(source, root, workers=2)
    assert import_source(source.without_kill(), root, workers=1).written >= 1
    opened(root)


@pytest.mark.parametrize("finished", [True, False])
def test_another_source_is_refused(root: Path, tmp_path: Path, finished: bool) -> None:
    trigger = tmp_path / "train-1"
    if not finished:
        trigger.touch()
        assert import_alone(SmallSource(settings={"crop": 1}, killed_at=trigger), root, 1) == -9
    else:
        import_source(SmallSource(settings={"crop": 1}), root, workers=1)
    before = contents(root)
    with pytest.raises(UsageError, match=r"something else was imported here \(crop was 1, and is 2\); choose a new"):
        import_source(SmallSource(settings={"crop": 2}), root, workers=1)
    assert contents(root) == before


def test_a_folder_with_other_data_is_refused(root: Path) -> None:
    (root / "train/image").mkdir(parents=True)
    with pytest.raises(UsageError, match="has a data set that was not imported; choose a new folder"):
        import_source(SmallSource(), root, workers=1)
    assert contents(root) == {}


def test_two_imports_into_one_folder_do_not_mix(root: Path) -> None:
    (root / UNFINISHED).mkdir(parents=True)
    lock = try_lock(root / UNFINISHED / engine.LOCK)
    assert lock is not None
    with pytest.raises(UsageError, match="another process is importing"):
        import_source(SmallSource(), root, workers=1)
    unlock(lock)
    assert import_source(SmallSource(), root, workers=1).written == 5


def test_a_repetition_writes_nothing_but_lost_files(root: Path) -> None:
    import_source(SmallSource(), root, workers=1)
    before = contents(root)
    assert import_source(SmallSource(), root, workers=1) == ImportReport(written=0, kept=5)
    (root / "val/depth/0.npy").unlink()
    assert import_source(SmallSource(), root, workers=1) == ImportReport(written=1, kept=4)
    assert contents(root) == before


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"semantic": np.full(SIZE, 13, np.int16)}, "invalid label"),
        ({"depth": np.full(SIZE, 2000.0, np.float32)}, "look like millimetres: divide by 1000"),
        ({"normal": np.full((*SIZE, 3), 0.9, np.float32)}, "normals"),
        ({"image": np.zeros((*SIZE, 3), np.uint8)}, "black"),
        ({"depth": np.ones((8, 8), np.float32)}, r"shape \(8, 8\), but its image is 32x64"),
    ],
)
def test_what_training_would_refuse_is_not_written(root: Path, replaced: Mapping[str, AnyArray], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        import_source(SmallSource(replaced=replaced), root, workers=1)
    assert f"{root}/train/" in str(caught.value)
    assert not list((root).rglob("*.npy"))
    with pytest.raises(DataError, match="import unfinished"):
        opened(root)


def test_a_damaged_record_is_named(root: Path) -> None:
    import_source(SmallSource(), root, workers=1)
    (root / "import.json").write_text("{")
    with pytest.raises(RdcError, match=r"import\.json: damaged"):
        import_source(SmallSource(), root, workers=1)


def test_progress_counts_what_was_there(root: Path) -> None:
    told: list[tuple[str, int, int]] = []
    import_source(SmallSource(), root, workers=1)
    (root / "train/label/1.npy").unlink()
    import_source(SmallSource(), root, workers=1, progress=lambda *one: told.append(one))
    assert told == [("imported", 4, 5), ("imported", 5, 5)]
