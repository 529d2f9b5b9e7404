"""Descriptions of a user's data: what they may say, and where a mistake is."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rdc_sweeps.data.importing.own import read_import_spec
from rdc_sweeps.errors import SpecError
from rdc_sweeps.specs.document import read_document
from rdc_sweeps.specs.importing import FolderSplit, ImportSpec, NormalModality
from rdc_sweeps.specs.schema import json_schema

TEXT = """\
name: desks
size: [96, 128]
image: {files: "{split}/photos/{name}.jpg"}
semantic:
  files: "{split}/labels/{name}.png"
  classes:
    desk: 1
    chair: [2, 3]
  void: [0]
depth: {files: "{split}/depth/{name}.png", scale: 1e-3}
split: {name: folders, test: [val, test]}
"""


def read(folder: Path, text: str) -> ImportSpec:
    path = folder / "desks.yaml"
    path.write_text(text, encoding="utf-8")
    return read_import_spec(path)


def test_a_description_is_read(tmp_path: Path) -> None:
    spec = read(tmp_path, TEXT)
    assert spec.tasks == ("semantic", "depth")
    assert spec.classes == ("desk", "chair")
    assert spec.semantic is not None
    assert spec.semantic.ids == {"desk": (1,), "chair": (2, 3)}
    assert spec.depth is not None
    assert (spec.depth.scale, spec.depth.invalid, spec.depth.unit) == (0.001, (0.0,), "metres")
    assert spec.split == FolderSplit(train=("train",), test=("val", "test"))
    assert spec.root == "."


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("scale", "scal", r"yaml:10: depth.scal: there is no such field; did you mean 'scale'\?"),
        ("1e-3", "0", "yaml:10: depth.scale: must be greater than 0, found 0"),
        ("name: desks", "name: Desks", "yaml:1: name: must be a word"),
        ("name: desks", "name: class", "yaml:1: name: must be a word"),
        ("name: desks", "name: cityscapes", "yaml:1: name: 'cityscapes' is built in"),
        ("96, 128", "0, 128", r"size: height and width must be 1 to 8192, found \[0, 128\]"),
        ("96, 128", "96, true", r"yaml:2: size\[1\]"),
        ("photos/{name}", "photos/{title}", r"yaml:3: image.files: has \{title\}; file names are described by"),
        ("photos/{name}", "photos", r"image.files: must have \{name\} once"),
        ("photos/{name}", "{name}/{name}", r"image.files: must have \{name\} once"),
        ("photos/{name}", "}photos{/{name}", "image.files: has a brace"),
        ("{split}/photos", "../{split}/photos", r"image.files: must be a file name relative to its .*without '\.\.'"),
        ("{split}/photos", "/{split}/photos", "image.files: must be a file name relative to its folder"),
        ("{split}/depth", "depth", r"depth.files must have the same of \{name\}, .* as image.files"),
        ("desk: 1", "desk: 2", "yaml:4: semantic: id 2 is both desk and chair"),
        ("void: [0]", "void: [3]", "id 3 is both chair and void"),
        ("desk: 1", "desk: '#12345'", "yaml:7: semantic.classes.desk"),
        ("desk: 1", "desk: '#123456'", "has ids and colours; labels are stored as one of them"),
        ("    chair: [2, 3]\n", "", "yaml:6: semantic.classes: "),
        ("chair: [2, 3]", "chair: []", "classes: 'chair' needs a name and at least one id"),
        ("chair: [2, 3]", '"a\\nb": 2', "has characters that cannot be printed"),
        ("folders", "folder", "yaml:11: split.name: there is no 'folder'; did you mean 'folders'"),
        ("{name: folders, test: [val, test]}", "{name: fraction}", r"files must have \{split\} if split is"),
        ("test: [val, test]", "test: [train]", "split: 'train' is both in train and in test"),
        ('files: "{split}/labels/{name}.png"', "column: label", "has files for some .* and columns for others"),
        ('files: "{split}/depth/{name}.png", ', "", "yaml:10: depth: needs either files or column"),
        ('depth: {files: "{split}/depth/{name}.png", scale: 1e-3}\n', "", "needs labels of at least two of"),
        ("split: {name: folders, test: [val, test]}\n", "", "split: is missing"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in TEXT
    with pytest.raises(SpecError, match=told):
        read(tmp_path, TEXT.replace(old, new, 1))


def test_colours_are_compared_as_numbers(tmp_path: Path) -> None:
    coloured = TEXT.replace("void: [0]", "void: ['#000000']").replace("desk: 1", "desk: '#00FF0a'")
    spec = read(tmp_path, coloured.replace("[2, 3]", "['#ff0000', '#0000ff']"))
    assert spec.semantic is not None
    assert spec.semantic.coloured
    assert spec.semantic.ids == {"desk": (0x00FF0A,), "chair": (0xFF0000, 0x0000FF)}
    assert spec.semantic.void_ids == (0,)
    assert [spec.has_colours(kind) for kind in ("image", "semantic", "depth", "normal")] == [True, True, False, True]
    with pytest.raises(SpecError, match="id #00ff0A is both desk and chair"):
        read(tmp_path, coloured.replace("[2, 3]", "'#00ff0A'"))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as error:
        read(tmp_path, TEXT.replace("1e-3", "-1").replace("desks", "Desks").replace("folders", "no"))
    assert len(error.value.problems) == 3


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"flip": ["w"]}, "flip"),
        ({"encoding": "rgb"}, "must be 'vectors' or 'colours'"),
        ({"invalid": [[0, 0]]}, "invalid"),
    ],
)
def test_normals_have_two_encodings_and_three_axes(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    assert NormalModality(files="{name}").encoding == "vectors"
    with pytest.raises(SpecError, match=told):
        read(tmp_path, f"{TEXT}normal: {{files: '{{split}}/{{name}}', {str(fields)[1:-1]}}}\n")


def test_the_schema_accepts_what_is_valid(tmp_path: Path) -> None:
    schema = json_schema("import")
    Draft202012Validator.check_schema(schema)
    read(tmp_path, TEXT)
    data = read_document(tmp_path / "desks.yaml").data
    assert not list(Draft202012Validator(schema).iter_errors(data))
    assert list(Draft202012Validator(schema).iter_errors({**data, "folder": "."}))
    assert list(Draft202012Validator(schema).iter_errors({**data, "split": {"name": "random"}}))
