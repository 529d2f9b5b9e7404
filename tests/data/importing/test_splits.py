"""Which images are trained on and which tested on."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rdc_sweeps.data.importing.files import Key
from rdc_sweeps.data.importing.splits import divided
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.importing import FolderSplit, FractionSplit, ListSplit

HERE = Path()


def keys(*names: str) -> list[Key]:
    """From `split/scene/name`."""
    return [Key(*name.split("/")) for name in names]


def test_folders_name_the_splits() -> None:
    found = keys("extra/a/0", "test/a/1", "train/b/2", "train/b/3", "val/c/4")
    split = FolderSplit(train=("train", "extra"), test=("val",))
    assert divided(found, split, HERE) == {"train": (found[0], found[2], found[3]), "val": (found[4],)}
    with pytest.raises(DataError, match=r"no files of 'dev'; \{split\} is extra, test, train, val"):
        divided(found, FolderSplit(test=("dev",)), HERE)


def test_lists_give_the_order_too(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes("\ufeffa/3\r\n\r\na/1\r\n".encode())
    (tmp_path / "test.txt").write_text("b/2 \n")
    found = keys("/a/1", "/a/3", "/b/2", "/b/4")
    chosen = divided(found, ListSplit(train="train.txt", test="test.txt"), tmp_path)
    assert chosen == {"train": (found[1], found[0]), "val": (found[2],)}


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        (
            "a/1\nc/9\nc/8",
            "b/2",
            "train.txt:2: there is no image 'c/9'\n.*train.txt:3: .*\nwrite one image per line, as a/1",
        ),
        ("a/1\nb/2", "b/2", "test.txt:1: 'b/2' is also at .*train.txt:2"),
        ("a/1\na/1", "b/2", "train.txt:2: 'a/1' is also at .*train.txt:1"),
        ("a/1", "", "no images for testing"),
        ("", "a/1", "no images for training"),
        ("a/1", None, "test.txt: the list cannot be read"),
        ("a/1", b"\xff\xfe", "test.txt: the list cannot be read"),
    ],
)
def test_wrong_lists_are_refused(tmp_path: Path, train: str, test: str | bytes | None, told: str) -> None:
    (tmp_path / "train.txt").write_text(train)
    if test is not None:
        (tmp_path / "test.txt").write_bytes(test if isinstance(test, bytes) else test.encode())
    with pytest.raises(DataError, match=told):
        divided(keys("/a/1", "/b/2"), ListSplit(train="train.txt", test="test.txt"), tmp_path)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=12),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 100),
    with_scenes=st.booleans(),
)
@example(sizes=[1, 1], share=0.99, seed=0, with_scenes=True)
def test_scenes_stay_together(sizes: list[int], share: float, seed: int, with_scenes: bool) -> None:
    found = [
        Key("", f"scene{index}" if with_scenes else "", f"{index}-{one}")
        for index, size in enumerate(sizes)
        for one in range(size)
    ]
    split = FractionSplit(test=share, seed=seed)
    chosen = divided(found, split, HERE)
    assert sorted([*chosen["train"], *chosen["val"]]) == sorted(found)
    assert all(list(part) == [key for key in found if key in part] for part in chosen.values())
    if with_scenes:
        assert not {key.scene for key in chosen["train"]} & {key.scene for key in chosen["val"]}
    assert divided(found, split, HERE) == chosen
    # Not further from what is wanted than by the largest scene.
    largest = max(sizes) if with_scenes else 1
    assert min(1, len(found) * share - largest) <= len(chosen["val"]) <= len(found) * share + largest


def test_another_seed_draws_others() -> None:
    found = [Key("", "", f"{index:02d}") for index in range(40)]
    drawn = {divided(found, FractionSplit(test=0.25, seed=seed), HERE)["val"] for seed in range(5)}
    assert {len(part) for part in drawn} == {10}
    assert len(drawn) == 5


def test_one_scene_cannot_be_divided() -> None:
    with pytest.raises(DataError, match="all 2 images are of one scene"):
        divided(keys("/a/1", "/a/2"), FractionSplit(), HERE)
