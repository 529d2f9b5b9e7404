"""Values at dotted paths of a resolved run."""

from collections.abc import Mapping
from typing import Any

MISSING = object()
"""What stands at a path that a run does not have."""


def at_path(data: Mapping[str, Any], path: str) -> Any:
    """The value at a path, or `MISSING`."""
    node: Any = data
    for key in path.split("."):
        if not isinstance(node, Mapping) or key not in node:
            return MISSING
        node = node[key]
    return node


def with_values(data: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which these paths have these values; what leads to them must be there."""
    copy = dict(data)
    for path, value in values.items():
        key, dot, rest = path.partition(".")
        copy[key] = with_values(copy[key], {rest: value}) if dot else value
    return copy
