"""Random specs, drawn from the types of the fields and their bounds, often at a bound."""

import random
from collections.abc import Iterable
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel

BOUNDS = {
    annotated_types.Ge: "ge", annotated_types.Gt: "gt", annotated_types.Le: "le", annotated_types.Lt: "lt",
    annotated_types.MultipleOf: "multiple_of", annotated_types.MinLen: "min_length",
}  # fmt: skip


def drawn_spec(model: type[BaseModel], dice: random.Random) -> dict[str, Any]:
    """Values of the fields of a spec; it may still be invalid where several fields must fit together."""
    return {
        name: field.default if name in {"name", "source"} else _drawn(field.annotation, field.metadata, dice)
        for name, field in model.model_fields.items()
        if name in {"name", "source"} or field.is_required() or dice.random() < 0.6
    }


def _drawn(annotation: Any, metadata: Iterable[Any], dice: random.Random) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [one for part in arguments[1:] for one in getattr(part, "metadata", [part])]
        return _drawn(arguments[0], [*metadata, *inner], dice)
    if origin in (Union, UnionType):
        return _drawn(dice.choice(arguments), metadata, dice)
    if origin is Literal:
        return dice.choice(arguments)
    if annotation is NoneType:
        return None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return drawn_spec(annotation, dice)
    bounds = {BOUNDS[type(one)]: getattr(one, BOUNDS[type(one)]) for one in metadata if type(one) in BOUNDS}
    if origin is tuple:
        length = max(bounds.get("min_length", 0), dice.randrange(4))
        return [_drawn(arguments[0], [], dice) for _ in range(length)]
    if annotation is bool:
        return dice.random() < 0.5
    if annotation is str:
        return "x"
    return _number(annotation, bounds, dice)


def _number(kind: type, bounds: dict[str, Any], dice: random.Random) -> Any:
    low, high = bounds.get("ge", bounds.get("gt", -1e6)), bounds.get("le", bounds.get("lt", 1e300))
    if kind is int:
        # Sizes and counts are kept small; seeds and the like may be at their bounds.
        value = dice.choice([low, low + 1, low + 7, high]) if high > 2**40 else low + dice.choice([0, 1, 2, 7])
        step = bounds.get("multiple_of", 1)
        return int(max(low + ("gt" in bounds), value // step * step, step if step > 1 else low))
    values = [low, high, low + dice.random() * min(high - low, 2.0), low + dice.random() * min(high - low, 1e-3)]
    value = float(dice.choice(values))
    if "gt" in bounds and value == low:
        value += 1e-300
    return value if "lt" not in bounds or value < high else low
