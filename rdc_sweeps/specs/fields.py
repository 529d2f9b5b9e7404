"""Paths into specs: which fields exist, their values, and where a validation error points."""

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

Location = tuple[str | int, ...]
"""Keys and indices that lead to a value."""

DISCRIMINATORS = ("name", "source")
"""Fields that select a variant of a union."""

MISSING = object()
"""Returned for a path that does not exist."""


def variants(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The specs that a field may hold: several for a union, none for a plain value."""
    if get_origin(annotation) is Annotated:
        return variants(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return tuple(found for member in get_args(annotation) for found in variants(member))
    return (annotation,) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else ()


def has_plain_values(annotation: Any) -> bool:
    """Whether a field may hold something that is neither a spec nor None."""
    if get_origin(annotation) is Annotated:
        return has_plain_values(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return any(map(has_plain_values, get_args(annotation)))
    return annotation is not type(None) and not variants(annotation)


def locate(model: type[BaseModel], location: Location) -> tuple[Location, type[BaseModel] | None]:
    """Where a validation error points in the file: pydantic's location without the keys it inserts for unions.

    Returns:
        The location, and the spec whose field the last key is (None inside free-form mappings and lists).
    """
    node: Any = model
    owner: type[BaseModel] | None = None
    written: list[str | int] = []
    for key in location:
        found = variants(node)
        mixed = bool(found) and has_plain_values(node)
        chosen = next((variant for variant in found if key in tags(variant)), None) if mixed or len(found) > 1 else None
        if chosen is not None:
            node = chosen
        elif mixed:
            node = Any  # a plain type in a union with specs
        elif found:
            owner = found[0]
            field = owner.model_fields.get(str(key))
            node = field.annotation if field else Any
            written.append(key)
        elif get_origin(node) in (tuple, list):
            node, owner = get_args(node)[0], None
            written.append(key)
        elif node is Any or get_origin(node) is dict:
            node, owner = (get_args(node) or (Any, Any))[-1], None
            written.append(key)
        # Any other key is the name of a plain type in a union of plain types; it is skipped.
    return tuple(written), owner


def tags(variant: type[BaseModel]) -> list[Any]:
    """What selects this variant of a union: its name, or, if it has none, the presence of its first field."""
    chosen = [variant.model_fields[name].default for name in DISCRIMINATORS if name in variant.model_fields]
    return chosen or list(variant.model_fields)[:1]


def leaf_paths(model: type[BaseModel]) -> list[str]:
    """Dotted paths of all plain values of all variants of a spec, in order, without the discriminators."""
    found: list[str] = []
    for name, field in model.model_fields.items():
        if has_plain_values(field.annotation) and name not in DISCRIMINATORS:
            found.append(name)
        found += [f"{name}.{path}" for variant in variants(field.annotation) for path in leaf_paths(variant)]
    return list(dict.fromkeys(found))


def has_path(model: type[BaseModel], keys: Sequence[str]) -> bool:
    """Whether any variant of a spec has a field at a path."""
    nodes: tuple[type[BaseModel], ...] = (model,)
    for index, key in enumerate(keys):
        fields = [node.model_fields[key].annotation for node in nodes if key in node.model_fields]
        if not fields:
            return False
        nodes = tuple(variant for annotation in fields for variant in variants(annotation))
        if not nodes:
            return index == len(keys) - 1
    return True


def at_path(data: Mapping[str, Any], path: str, default: Any = MISSING) -> Any:
    """The value at a dotted path in a tree, or `default`."""
    node: Any = data
    for key in path.split("."):
        if not isinstance(node, dict) or key not in node:
            return default
        node = node[key]
    return node


def with_values(data: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a tree with new values at these dotted paths, whose parents must exist."""
    copy = dict(data)
    for path, value in values.items():
        key, dot, rest = path.partition(".")
        copy[key] = with_values(copy[key], {rest: value}) if dot else value
    return copy
