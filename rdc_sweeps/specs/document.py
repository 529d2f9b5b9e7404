"""YAML files that remember on which line each value stands, and overlays of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rdc_sweeps.errors import SpecError

Location = tuple[str | int, ...]
"""Keys and indices that lead to a value."""

DISCRIMINATORS = ("name", "source")
"""Fields that choose a variant: an overlay that chooses another one replaces the value instead of merging into it."""


@dataclass(frozen=True)
class Document:
    """A tree of plain values with the place each came from (`file:line`, or the flag)."""

    data: dict[str, Any]
    places: dict[Location, str] = field(default_factory=dict)

    def place(self, location: Location) -> str | None:
        """Where the value at `location`, or its nearest ancestor, was written; None if nowhere."""
        for length in range(len(location), -1, -1):
            if (found := self.places.get(location[:length])) is not None:
                return found
        return None

    def at(self, *location: str | int) -> "Document":
        """The subtree at `location`, which must be a mapping; empty if there is none."""
        node: Any = self.data
        for key in location:
            try:
                node = node[key]
            except (KeyError, IndexError, TypeError):
                return Document({})
        places = {at[len(location) :]: place for at, place in self.places.items() if at[: len(location)] == location}
        return Document(node if isinstance(node, dict) else {}, places)


def read_document(path: Path) -> Document:
    """Read a YAML file of one mapping, safely.

    Raises:
        SpecError: The file cannot be read, is not YAML, repeats a key or is not a mapping.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([f"{path}: cannot be read: {error}"]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise SpecError([f"{where}: is not YAML: {getattr(error, 'problem', error)}"]) from error
    places: dict[Location, str] = {}
    problems: list[str] = []
    constructor = yaml.SafeLoader("")

    def walk(node: yaml.Node, location: Location) -> Any:
        places[location] = f"{path}:{node.start_mark.line + 1}"
        if isinstance(node, yaml.MappingNode):
            result: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                if key in result:
                    problems.append(f"{path}:{key_node.start_mark.line + 1}: {key!r} is there twice")
                result[key] = walk(value_node, (*location, key))
            return result
        if isinstance(node, yaml.SequenceNode):
            return [walk(item, (*location, index)) for index, item in enumerate(node.value)]
        try:
            return constructor.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            problems.append(f"{places[location]}: {error}")
            return None

    data = {} if root is None else walk(root, ())
    if not isinstance(data, dict):
        problems.append(f"{path}: must be a mapping of keys to values")
    if problems:
        raise SpecError(problems)
    return Document(data, places)


def overlay(base: Document, top: Document) -> Document:
    """`top` over `base`: mappings merge, all else is replaced; so is a mapping whose variant `top` changes."""
    data = dict(base.data)
    places = dict(base.places)
    for key, value in top.data.items():
        location: Location = (key,)
        old = data.get(key)
        if isinstance(value, Mapping) and isinstance(old, dict) and not _changes_variant(old, value):
            merged = overlay(base.at(key), top.at(key))
        else:
            places = {at: place for at, place in places.items() if at[:1] != location}
            merged = Document(value, top.at(key).places) if isinstance(value, dict) else None
        data[key] = value if merged is None else merged.data
        if merged is not None:
            places.update({(*location, *at): place for at, place in merged.places.items()})
        if (place := top.place(location)) is not None:
            places[location] = place
    return Document(data, places)


def _changes_variant(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return any(name in new and name in old and new[name] != old[name] for name in DISCRIMINATORS)


def lookup(data: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path of a tree, or None."""
    node: Any = data
    for key in path.split("."):
        if not isinstance(node, Mapping) or key not in node:
            return None
        node = node[key]
    return node


def assignment(text: str) -> Document:
    """`a.b=c` as a document; the value is read as YAML.

    Raises:
        SpecError: There is no `=`, a key is empty, or the value is not YAML.
    """
    path, equals, value = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise SpecError([f"--set {text}: write it as path.to.field=value"])
    try:
        data: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SpecError([f"--set {text}: the value is not YAML: {error}"]) from error
    places = {tuple(keys): f"--set {text}"}
    for key in reversed(keys):
        data = {key: data}
    return Document(data, places)
