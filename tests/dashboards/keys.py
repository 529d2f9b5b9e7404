"""What a spec of W&B refers to, read from its JSON as W&B reads it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class References:
    """Names in panels, columns and filters."""

    history: set[str] = field(default_factory=set)
    """Logged values of line plots, and their horizontal axes other than the step."""
    pictures: set[str] = field(default_factory=set)
    summary: set[str] = field(default_factory=set)
    config: set[str] = field(default_factory=set)
    """Paths in a config, without W&B's `value`."""
    runs: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    grouping: set[str] = field(default_factory=set)
    """Attributes of runs by which lines and bars are made."""


def references(spec: Any) -> References:
    """Everything that a view's spec refers to."""
    found = References()
    for node in _mappings(spec):
        config = node.get("config", {})
        kind = node.get("viewType")
        if kind == "Run History Line Plot":
            found.history |= {*config["metrics"], config["xAxis"]} - {"_step"}
        elif kind == "Bar Chart":
            found.summary |= set(config["metrics"])
        elif kind == "Media Browser":
            found.pictures |= set(config["mediaKeys"])
        elif kind == "Parallel Coordinates Plot":
            _accessors(found, [column["accessor"] for column in config["columns"]])
        elif kind is not None:
            raise AssertionError(f"a panel that this does not know: {kind}")
        if "groupBy" in config:
            found.grouping.add(config["groupBy"])
        if "runFeed" in node:
            _accessors(found, node["runFeed"]["columnOrder"])
            found.grouping |= {key["name"] for key in node["grouping"]}
            for one in node["filters"]["filters"]:
                names = {"name": found.runs, "group": found.groups}[one["key"]["name"]]
                names |= set(one["value"]) if one["op"] == "IN" else {one["value"]}
    return found


def _accessors(found: References, accessors: list[str]) -> None:
    for accessor in accessors:
        section, _, name = accessor.partition(":")
        if section == "summary":
            found.summary.add(name)
        elif section == "config":
            found.config.add(re.sub(r"\.value\b", "", name, count=1))


def _mappings(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for inner in node.values():
            yield from _mappings(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _mappings(inner)
