"""JSON Schemas as Markdown."""

import json
from collections.abc import Callable
from typing import Any

Link = Callable[[str], str]
"""Makes the Markdown that names a definition."""

BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}

LARGE = 1e9
"""Bounds from here on concern the types of numbers, not their meaning."""


def type_text(node: dict[str, Any], link: Link) -> str:
    """The type of a schema's node as Markdown: its variants, values and bounds."""
    if "$ref" in node:
        return link(node["$ref"].rpartition("/")[2])
    for key in ("anyOf", "oneOf"):
        if key in node:
            return " or ".join(dict.fromkeys(type_text(one, link) for one in node[key]))
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return ", ".join(f"`{one}`" for one in node["enum"])
    match node.get("type"):
        case "array":
            return _array_text(node, link)
        case "object":
            inner = node.get("additionalProperties")
            return f"mapping to {type_text(inner, link)}" if isinstance(inner, dict) and inner else "mapping"
        case None:
            return "any"
        case str(name):
            bounds = ", ".join(
                f"{sign} {node[key]:g}" for key, sign in BOUNDS.items() if abs(node.get(key, LARGE)) < LARGE
            )
            return f"{name} {bounds}".rstrip()
    return str(node["type"])


def _array_text(node: dict[str, Any], link: Link) -> str:
    if "prefixItems" in node:
        return f"[{', '.join(type_text(one, link) for one in node['prefixItems'])}]"
    return f"list of {type_text(node.get('items', {}), link)}"


def default_text(node: dict[str, Any]) -> str:
    """The default of a field as Markdown; of a spec its name."""
    value = node.get("default", {})
    if isinstance(value, dict):
        value = value.get("name") or value.get("source") or ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if text else ""


def references(node: Any) -> list[str]:
    """Names of the definitions that a node refers to, in order."""
    if isinstance(node, dict):
        own = [node["$ref"].rpartition("/")[2]] if "$ref" in node else []
        # A discriminator repeats its variants.
        return own + [one for key, value in node.items() if key != "discriminator" for one in references(value)]
    if isinstance(node, list):
        return [one for value in node for one in references(value)]
    return []
