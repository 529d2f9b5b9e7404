"""Files are found by patterns of their names, and matched."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rdc_sweeps.data.importing.files import Key, check_complete, find_files, natural_order, write_index
from rdc_sweeps.errors import DataError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names(root: Path, pattern: str) -> list[str]:
    return [str(key) for key in find_files(root, pattern, within=root)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("photos/{name}.jpg", ["a/1", "a/2", "b/1"]),
        ("photos/{scene}/{name}.jpg", ["a/1", "a/2", "b/1"]),
        ("photos/a/{name}.jpg", ["1", "2"]),
        ("photos/*/{name}2.jpg", []),
        ("{split}/{scene}/{name}.jpg", ["photos/a/1", "photos/a/2", "photos/b/1"]),
        ("photos/{scene}/{name}.*", ["a/1", "a/2", "b/1"]),
        ("depth/{scene}_{name}.png", ["a/1", "a/2_x"]),
    ],
)
def test_placeholders_stand_for_parts_of_names(tmp_path: Path, pattern: str, found: list[str]) -> None:
    touch(tmp_path, "photos/b/1.jpg", "photos/a/2.jpg", "photos/a/1.jpg", "photos/.hidden/1.jpg", "photos/a/._1.jpg")
    touch(tmp_path, "depth/a_1.png", "depth/a_2_x.png", "depth/notes.txt")
    if pattern.startswith("photos/*"):
        touch(tmp_path, "photos/a/12.jpg")
        found = ["1"]
    assert names(tmp_path, pattern) == found


def test_the_order_does_not_depend_on_the_disk(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}.png" for name in ("b", "10", "9", "a", "ä", "Z")))
    assert names(tmp_path, "{name}.png") == ["9", "10", "Z", "a", "b", "ä"]


@given(st.lists(st.tuples(*[st.text("a01٣² ", max_size=3)] * 3)))
@example([("", "", "1"), ("", "", "01")])
def test_any_names_have_an_order(names: list[tuple[str, str, str]]) -> None:
    found = sorted({Key(*name) for name in names}, key=natural_order)
    turned = found[::-1]
    turned.sort(key=natural_order)
    assert turned == found


def test_composed_and_decomposed_names_are_equal(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Büro/ノート.png") for form in ("NFC", "NFD"))
    assert composed != decomposed
    touch(tmp_path, f"photos/{composed}", f"labels/{decomposed}")
    found = {kind: find_files(tmp_path, f"{kind}/{{name}}.png") for kind in ("photos", "labels")}
    check_complete(found, {"photos": "photos", "labels": "labels"})
    assert [path.exists() for files in found.values() for path in files.values()] == [True, True]


def test_two_files_of_one_image_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "photos/1.jpg", "photos/1.png", "photos/2.png")
    with pytest.raises(DataError, match=r"1\.jpg and .*1\.png: both are 1; keep one of them"):
        names(tmp_path, "photos/{name}.*")


def test_links_stay_in_the_root(tmp_path: Path) -> None:
    root, outside = touch(tmp_path / "root", "real/1.png"), touch(tmp_path / "outside", "2.png")
    (root / "photos").symlink_to(root / "real")
    (root / "real" / "loop").symlink_to(root)
    assert names(root, "photos/{name}.png") == ["1"]
    for link, target in ((root / "real/2.png", outside / "2.png"), (root / "real/more", outside)):
        link.symlink_to(target)
        with pytest.raises(DataError, match=f"photos/{link.name}: leads to {target}, outside of {root}; set root"):
            names(root, "photos/{name}.png")
        assert len(find_files(root, "photos/{name}.png")) == 2
        link.unlink()
    (root / "photos").unlink()
    (root / "photos").symlink_to(outside)
    with pytest.raises(DataError, match=f"photos: leads to {outside}"):
        names(root, "photos/{name}.png")


@pytest.mark.parametrize("name", ["a\nb.png", os.fsdecode(b"a\xff.png")])
def test_a_name_that_cannot_be_printed_is_an_error(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    with pytest.raises(DataError, match="cannot be printed; rename it"):
        names(tmp_path, "{name}.png")


def test_every_missing_file_is_listed(tmp_path: Path) -> None:
    touch(tmp_path, *(f"photos/{index}.jpg" for index in range(30)), *(f"labels/{index}.png" for index in range(1, 32)))
    patterns = {"image": "photos/{name}.jpg", "semantic": "labels/{name}.png"}
    found = {kind: find_files(tmp_path, pattern) for kind, pattern in patterns.items()}
    with pytest.raises(DataError) as error:
        check_complete(found, patterns)
    assert str(error.value).splitlines() == [
        "labels/0.png: no such file",
        "photos/30.jpg: no such file",
        "photos/31.jpg: no such file",
        "3 files are missing; restore them, or remove the others of these images",
    ]


def test_a_folder_without_files_is_told_once(tmp_path: Path) -> None:
    touch(tmp_path, "photos/1.jpg", "labels/1.txt")
    found = {
        kind: find_files(tmp_path, pattern)
        for kind, pattern in (("a", "photos/{name}.jpg"), ("b", "labels/{name}.png"))
    }
    with pytest.raises(DataError, match=r"^labels/\*\.png: no such files$"):
        check_complete(found, {"a": "photos/{name}.jpg", "b": "labels/{name}.png"})
    with pytest.raises(DataError, match="maps: no such folder"):
        find_files(tmp_path, "maps/{name}.png")


def test_signs_of_regular_expressions_stand_for_themselves(tmp_path: Path) -> None:
    touch(tmp_path, "x+(y)/[1].png", "x+(y)/1.png", "xxy/2.png", "x+(y)/3_png")
    assert names(tmp_path, "x+(y)/{name}.png") == ["1", "[1]"]
    assert names(tmp_path, "x+(y)/[{name}].png") == ["1"]


def test_the_index_says_which_file_is_which_image(tmp_path: Path) -> None:
    write_index(tmp_path, {"train": [Key("", "a", "1"), Key("", "", "=2")], "val": [Key("val", "b", "x,y")]})
    assert (tmp_path / "index.csv").read_text() == (
        'split,file,image\ntrain,0.npy,a/1\ntrain,1.npy,\'=2\nval,0.npy,"val/b/x,y"\n'
    )
