from collections.abc import Iterator
from typing import Literal, get_args, get_origin

from pydantic import BaseModel

from rdc_sweeps.specs.fields import DISCRIMINATORS, MISSING, at_path, variants, with_values
from rdc_sweeps.specs.run import RunSpec


def specs(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A spec and all specs inside it."""
    yield model
    for field in model.model_fields.values():
        for variant in variants(field.annotation):
            yield from specs(variant)


def test_a_field_with_the_name_of_a_discriminator_is_one() -> None:
    # Overlays replace a mapping whose discriminator changes. Any other field of that name would reset its neighbours.
    found = [
        (one, one.model_fields[name]) for one in specs(RunSpec) for name in DISCRIMINATORS if name in one.model_fields
    ]
    assert len(found) > 10
    for spec, field in found:
        assert get_origin(field.annotation) is Literal, spec
        assert len(get_args(field.annotation)) == 1, spec


def test_values_at_paths() -> None:
    assert at_path({"a": {"b": 3}}, "a.b") == 3
    assert at_path({"a": 3}, "a.b") is MISSING
    assert at_path({}, "a") is MISSING
    assert at_path({}, "a.b", None) is None


def test_values_are_set_in_a_copy() -> None:
    tree = {"a": {"b": 1, "c": 2}, "d": 3}
    assert with_values(tree, {"a.b": 5, "e": 6}) == {"a": {"b": 5, "c": 2}, "d": 3, "e": 6}
    assert tree == {"a": {"b": 1, "c": 2}, "d": 3}
