"""The YAML of specs: the core schema of YAML 1.2, read and written."""

import re
from contextlib import suppress
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.resolver import Resolver


class Loader(yaml.SafeLoader):
    """A safe loader with the core schema of YAML 1.2: `1e-3` and `010` are numbers, `1:30`, `1_0` and `yes` texts."""


class _Dumper(yaml.SafeDumper):
    """A safe dumper that quotes texts which a loader of YAML 1.1 or 1.2 would read as something else."""


# Without those of YAML 1.1.
Loader.yaml_implicit_resolvers = {}

_INTEGER = re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)

for _class in (Loader, _Dumper):
    for _tag, _pattern, _first in (
        ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
        ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
        ("int", _INTEGER, list("-+0123456789")),
        ("float", _FLOAT, list("-+.0123456789")),
    ):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, _first)


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text if base == 10 else text[2:], base)


Loader.add_constructor("tag:yaml.org,2002:int", _integer)


if yaml.__with_libyaml__:
    from yaml._yaml import CParser

    class _FastComposer(Composer, CParser, Resolver):
        """Composes what the C parser reads. The C composer would overflow its stack on deep nesting."""

        yaml_implicit_resolvers = Loader.yaml_implicit_resolvers

        def __init__(self, stream: str) -> None:
            CParser.__init__(self, stream)
            Composer.__init__(self)
            Resolver.__init__(self)


def compose(text: str) -> yaml.Node | None:
    """The node of a text, None if it is empty.

    What the C parser refuses is parsed again in Python, whose messages say more.

    Raises:
        yaml.YAMLError: The text is not YAML.
        RecursionError: It is nested too deeply.
    """
    if yaml.__with_libyaml__:
        with suppress(yaml.YAMLError, UnicodeError):
            return _FastComposer(text).get_single_node()
    return yaml.compose(text, Loader=Loader)


def yaml_text(data: Any, *, flow: bool | None = False) -> str:
    """Plain values as YAML; `read_document` of `specs.document` reads back the same values in the same order.

    Args:
        data: Mappings, lists, strings, numbers, booleans and None.
        flow: Write collections in brackets; None: only those that contain no other collection.
    """
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=flow)
