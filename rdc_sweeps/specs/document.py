"""YAML files that remember the line of each value, and overlays of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from rdc_sweeps.errors import DamagedError, SpecError
from rdc_sweeps.files import read_file
from rdc_sweeps.specs.dialect import Loader, compose
from rdc_sweeps.specs.fields import DISCRIMINATORS, Location

MOST_KEYS = 50
"""Keys in a path to a field; no spec is nested as deeply."""


@dataclass(frozen=True)
class Document:
    """A tree of plain values, and where each was written (`file:line`, or the flag)."""

    data: dict[str, Any]
    places: dict[Location, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """What is wrong with the text; the values that could be read are kept."""

    def place(self, location: Location) -> str | None:
        """Where the value at `location`, or its nearest ancestor, was written; None if unknown."""
        for length in range(len(location), -1, -1):
            if (found := self.places.get(location[:length])) is not None:
                return found
        return None

    def at(self, *location: str | int) -> "Document":
        """The mapping at `location` with its places; empty if there is no mapping."""
        node: Any = self.data
        for key in location:
            try:
                node = node[key]
            except (KeyError, IndexError, TypeError):
                return Document({})
        places = {at[len(location) :]: place for at, place in self.places.items() if at[: len(location)] == location}
        return Document(node if isinstance(node, dict) else {}, places)


def read_document(path: Path) -> Document:
    """Safely read a YAML file that holds one mapping. An empty file is an empty mapping.

    Raises:
        SpecError: The file cannot be read, is not valid YAML, or is not a mapping.
    """
    try:
        text = read_file(path).decode("utf-8-sig")
    except DamagedError as error:
        raise SpecError([str(error)]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([f"{path}: cannot be read: {error}"]) from error
    return _parse(path, text)


@lru_cache(maxsize=64)
def _parse(path: Path, text: str) -> Document:
    # Parsing dominates the time of checking all tables under all profiles, which read the same few files.
    try:
        root = compose(text)
        if root is None:
            return Document({}, {(): f"{path}:1"})
        reader = _Reader(lambda node: f"{path}:{node.start_mark.line + 1}")
        data = reader.read(root, ())
    except RecursionError as error:
        raise SpecError([f"{path}: is nested too deeply"]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise SpecError([f"{where}: is not YAML: {_yaml_problem(error)}"]) from error
    if not isinstance(data, dict):
        found = "a list" if isinstance(data, list) else repr(data)
        raise SpecError([*reader.problems, f"{path}:1: must be a mapping of fields to values, found {found}"])
    return Document(data, reader.places, tuple(reader.problems))


def _yaml_problem(error: yaml.YAMLError) -> str:
    problem = str(getattr(error, "problem", None) or " ".join(str(error).split()))
    if problem.startswith("but ") and (context := getattr(error, "context", None)):
        problem = f"{context}, {problem}"
    return f"{problem}; indent with spaces, not tabs" if r"'\t'" in problem else problem


class _Reader:
    """Converts YAML nodes to plain values and records places and problems."""

    def __init__(self, place: Callable[[yaml.Node], str]) -> None:
        self.places: dict[Location, str] = {}
        self.problems: list[str] = []
        self._place = place
        self._seen: set[int] = set()
        self._constructor = Loader("")

    def read(self, node: yaml.Node, location: Location) -> Any:
        """The value of a node."""
        self.places[location] = self._place(node)
        if id(node) in self._seen:
            # Nested aliases can expand to more values than fit in memory, or be recursive.
            self._problem(node, location, "aliases (*) are not supported; write the value out")
            return None
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*location, index)) for index, item in enumerate(node.value)]
        try:
            return self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self._problem(node, location, getattr(error, "problem", None) or str(error))
            return None

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        result: dict[str, Any] = {}
        lines: dict[str, str] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, location, "a field's name must be a word")
                continue
            key = str(key_node.value)
            if key in result:
                self._problem(key_node, (*location, key), f"is duplicated, first at {lines[key]}")
            lines.setdefault(key, self._place(key_node))
            result[key] = self.read(value_node, (*location, key))
            self.places[(*location, key)] = self._place(key_node)
        return result

    def _problem(self, node: yaml.Node, location: Location, text: str) -> None:
        self.problems.append(": ".join(part for part in (self._place(node), dotted(location), text) if part))


def dotted(location: Location) -> str:
    """`a.b[0].c`, as messages name a field."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in location)
    return text.removeprefix(".")


def overlay(base: Document, top: Document) -> Document:
    """Overlay `top` on `base`: mappings merge, unless `top` changes their variant; everything else is replaced."""
    replaced_at: list[Location] = []
    data = _merged(base.data, top.data, (), replaced_at)
    places = dict(base.places)
    for location in replaced_at:
        places = {at: place for at, place in places.items() if at[: len(location)] != location}
    return Document(data, places | {at: place for at, place in top.places.items() if at})


def _merged(
    base: Mapping[str, Any], top: Mapping[str, Any], at: Location, replaced_at: list[Location]
) -> dict[str, Any]:
    """The values of an overlay; the locations where `top` replaces a value are added to `replaced_at`."""
    data = dict(base)
    for key, value in top.items():
        old, location = data.get(key), (*at, key)
        if isinstance(value, dict) and isinstance(old, dict) and not _changes_variant(old, value):
            data[key] = _merged(old, value, location, replaced_at)
        else:
            data[key] = value
            replaced_at.append(location)
    return data


def replaced(document: Document, key: str, value: Document) -> Document:
    """A document with another mapping under a key; the place of the key stays."""
    places = {at: place for at, place in document.places.items() if at[:1] != (key,) or at == (key,)}
    places.update({(key, *at): place for at, place in value.places.items() if at})
    return Document({**document.data, key: value.data}, places)


def _changes_variant(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return any(name in new and name in old and new[name] != old[name] for name in DISCRIMINATORS)


def assignments(changes: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Changed fields, given as a mapping or as strings `a.b=c`, in the form that `assignment` reads."""
    if isinstance(changes, Mapping):
        return [f"{path}={json.dumps(value)}" for path, value in changes.items()]
    return list(changes)


def assignment(text: str) -> Document:
    """Parse `a.b=c` into a document; the value is read as YAML.

    Raises:
        SpecError: There is no `=`, a key is empty, or the value is not YAML.
    """
    place = f"--set {text}"
    path, equals, value = text.partition("=")
    keys = tuple(key.strip() for key in path.split("."))
    if not equals or not all(keys):
        raise SpecError([f"{place}: write it as path.to.field=value"])
    if len(keys) > MOST_KEYS:
        raise SpecError([f"{place}: there is no field at a path of {len(keys)} keys"])
    reader = _Reader(lambda node: place)
    try:
        root = compose(value)
        data: Any = None if root is None else reader.read(root, keys)
    except RecursionError as error:
        raise SpecError([f"{place[:60]}...: the value is nested too deeply"]) from error
    except yaml.YAMLError as error:
        raise SpecError([f"{place}: the value is not YAML: {_yaml_problem(error)}"]) from error
    if reader.problems:
        raise SpecError(reader.problems)
    for key in reversed(keys):
        data = {key: data}
    return Document(data, {keys[: length + 1]: place for length in range(len(keys))} | reader.places)
