import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.errors import SpecError
from rdc_sweeps.specs.dialect import yaml_text
from rdc_sweeps.specs.document import Document, assignment, dotted, overlay, read_document
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.validation import build

KEYS = st.sampled_from(["a", "b", "name"])
TREES = st.recursive(
    st.integers() | st.booleans() | st.none() | st.lists(st.integers(), max_size=2),
    lambda children: st.dictionaries(KEYS, children, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(KEYS, TREES, max_size=3)


def read(tmp_path: Path, text: str) -> Document:
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return read_document(path)


def fails(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text)
    return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_values_know_their_lines(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 1\nb:\n  c:\n    - x\n    - y\n")
    assert document.data == {"a": 1, "b": {"c": ["x", "y"]}}
    assert document.place(("b",)) == f"{tmp_path}/file.yaml:2"
    assert document.place(("b", "c", 1)) == f"{tmp_path}/file.yaml:5"
    assert document.place(("b", "c", 1, "deeper")) == f"{tmp_path}/file.yaml:5"


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 1e-3), ("-2E5", -2e5), ("1.5e3", 1500.0), ("0x10", 16), ("1e", "1e")]
)
def test_numbers_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: object) -> None:
    assert read(tmp_path, f"a: {text}").data == {"a": value}


def test_empty_file_is_an_empty_mapping_with_a_place(tmp_path: Path) -> None:
    document = read(tmp_path, "# nothing\n")
    assert document.data == {}
    assert document.place(("a",)) == f"{tmp_path}/file.yaml:1"


def test_repeated_keys_are_problems_of_the_document(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert [problem.replace(f"{tmp_path}/", "") for problem in document.problems] == [
        "file.yaml:2: b.c: is duplicated, first at file.yaml:2",
        "file.yaml:3: a: is duplicated, first at file.yaml:1",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- 1\n- 2\n", "file.yaml:1: must be a mapping of fields to values, found a list"),
        ("hello", "file.yaml:1: must be a mapping of fields to values, found 'hello'"),
        ("a: 1\n\tb: 2\n", "indent with spaces, not tabs"),
        ("a: [1\n", "file.yaml:2: is not YAML"),
        ("a: 1\n---\nb: 2\n", "expected a single document in the stream"),
        ("a: \x07", "is not YAML"),
    ],
)
def test_files_that_are_no_mapping(tmp_path: Path, text: str, problem: str) -> None:
    [found] = fails(tmp_path, text)
    assert problem in found


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot be read"):
        read_document(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4\n")
    with pytest.raises(SpecError, match="cannot be read"):
        read_document(tmp_path / "latin.yaml")


def test_aliases_are_refused_even_if_they_contain_themselves(tmp_path: Path) -> None:
    document = read(tmp_path, "a: &a [1, *a]\nb: *a\n")
    assert [problem.partition(": ")[2] for problem in document.problems] == [
        "a[1]: aliases (*) are not supported; write the value out",
        "b: aliases (*) are not supported; write the value out",
    ]


def test_python_objects_are_not_built(tmp_path: Path) -> None:
    document = read(tmp_path, "a: !!python/object/apply:os.getcwd []\nb: !!python/name:os.getcwd x\n")
    assert document.data == {"a": [], "b": None}
    assert "could not determine a constructor" in document.problems[0]


def test_field_names_are_words(tmp_path: Path) -> None:
    assert "a field's name must be a word" in read(tmp_path, "? [a]\n: 1\n").problems[0]


def test_overlay_merges_mappings_and_replaces_the_rest() -> None:
    base = Document({"a": {"x": 1, "y": [1, 2]}, "b": 1}, {("a",): "base", ("a", "x"): "base", ("b",): "base"})
    top = Document({"a": {"y": [3]}, "c": 2}, {("a",): "top", ("a", "y"): "top", ("c",): "top"})
    merged = overlay(base, top)
    assert merged.data == {"a": {"x": 1, "y": [3]}, "b": 1, "c": 2}
    assert [merged.place(at) for at in [("a", "x"), ("a", "y"), ("b",), ("c",)]] == ["base", "top", "base", "top"]


@pytest.mark.parametrize("field", ["name", "source"])
def test_another_variant_drops_the_fields_of_the_old_one(field: str) -> None:
    base = Document({"backbone": {field: "old", "size": 3}}, {("backbone", "size"): "base"})
    merged = overlay(base, Document({"backbone": {field: "new", "depth": 1}}))
    assert merged.data == {"backbone": {field: "new", "depth": 1}}
    assert merged.place(("backbone", "size")) is None
    assert overlay(base, Document({"backbone": {field: "old"}})).data == base.data


@given(MAPPINGS, MAPPINGS)
def test_overlay_keeps_its_arguments_and_the_top_wins(base: dict[str, Any], top: dict[str, Any]) -> None:
    kept = (repr(base), repr(top))
    merged = overlay(Document(base), Document(top))
    assert (repr(base), repr(top)) == kept
    assert overlay(merged, Document(top)).data == merged.data
    for key, value in top.items():
        if not isinstance(value, dict):
            assert merged.data[key] == value


@given(MAPPINGS)
def test_an_empty_overlay_changes_nothing(data: dict[str, Any]) -> None:
    assert overlay(Document(data), Document({})).data == data
    assert overlay(Document({}), Document(data)).data == data


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a.b=1", {"a": {"b": 1}}),
        ("a=[1, 2]", {"a": [1, 2]}),
        ("a=x=y", {"a": "x=y"}),
        ("a=", {"a": None}),
        ("a={b: 1e-3}", {"a": {"b": 1e-3}}),
    ],
)
def test_assignments(text: str, data: dict[str, Any]) -> None:
    document = assignment(text)
    assert document.data == data
    assert document.place(("a",)) == f"--set {text}"


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1", ".a=1", "a.=1"])
def test_assignments_need_a_path_and_a_value(text: str) -> None:
    with pytest.raises(SpecError, match="write it as path"):
        assignment(text)


@pytest.mark.parametrize("text", ["a=[1", "a={b: 1, b: 2}", "a=!!python/name:os.getcwd x"])
def test_assigned_values_are_yaml(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        assignment(text)
    assert str(caught.value).startswith(f"--set {text}: ")


def test_dotted() -> None:
    assert dotted(("a", 0, "b")) == "a[0].b"
    assert dotted(()) == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10), ("-7", -7), ("+7", 7), ("0o14", 12), ("0x1F", 31), ("1e-3", 0.001), (".5", 0.5), ("1.", 1.0),
        ("1:30", "1:30"), ("1_0", "1_0"), ("0b11", "0b11"), ("yes", "yes"), ("off", "off"),
        ("2001-01-01", "2001-01-01"), ("true", True), ("False", False), ("~", None), ("", None),
    ],
)  # fmt: skip
def test_values_are_those_of_yaml_1_2(text: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {text}\n")
    for found in (read_document(path).data["a"], assignment(f"a={text}").data["a"]):
        assert (found, type(found)) == (value, type(value))


@given(st.one_of(st.text(), st.from_regex(r"[-+0-9._:eExobTtrueynslf~]{1,6}", fullmatch=True)))
def test_a_text_stays_a_text(text: str) -> None:
    written = yaml_text({"a": text})
    assert yaml.safe_load(written) == {"a": text}
    assert assignment(f"a={yaml_text([text], flow=True)}").data == {"a": [text]}


@pytest.mark.parametrize("text", ["1:30", "1_0", "'10'"])
def test_a_text_is_no_number(text: str) -> None:
    with pytest.raises(SpecError, match=r"training\.epochs: must be a"):
        build(RunSpec, assignment(f"training.epochs={text}"))


def test_a_text_is_not_true() -> None:
    with pytest.raises(SpecError, match="flip: must be true or false, found the text 'yes'"):
        build(RunSpec, assignment("training.augmentation.flip=yes"))


@pytest.mark.parametrize(
    "text", ["[" * 2000, "{a: " * 2000, "- " * 2000, "".join(" " * n + "b:\n" for n in range(1500))], ids=str.__len__
)
def test_what_is_nested_too_deeply_is_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"a\.yaml"):
        build(RunSpec, read_document(path))


def test_what_is_no_text_file_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    for name in ("pipe", "loop", "folder", "latin", "missing", "x" * 300):
        with pytest.raises(SpecError, match=name):
            read_document(tmp_path / f"{name}.yaml")
