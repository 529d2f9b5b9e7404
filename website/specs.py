"""The reference of the fields of specs and of the YAML files, from their JSON Schemas."""

from collections.abc import Collection
from functools import partial
from typing import Any

from rdc_sweeps.specs.schema import SchemaName, json_schema
from website.schemas import Link, default_text, references, type_text
from website.tables import table

FILES: dict[SchemaName, str] = {
    "table": "`experiments/NAME.yaml`.",
    "profile": "`experiments/profiles/NAME.yaml`.",
    "compat": "`experiments/compat/NAME.yaml`.",
    "study": "`sweeps/NAME.yaml`.",
    "import": "Of `rdc-sweep data import`.",
}

RUN = "RunSpec"


def spec_page() -> str:
    """The page of a run's fields: what stands under `defaults` and `spec` in a table, and what `--set` changes."""
    schema = json_schema("run")
    parts = [
        "# Specs\n\nGenerated from the code. These fields stand under `defaults` and `spec` in the file of a "
        "[table](files.md#table), and `--set a.b=c` changes them. `rdc-sweep show RUN` prints those of a run, and "
        "`rdc-sweep schema run` the JSON Schema. A field that may hold several specs is told by `name` (for a region "
        "source and weights: `source`) which one it is.\n",
        f"## {RUN}\n\n{_lead(schema)}\n\n{_fields(schema, _link)}",
    ]
    places = _places(schema)
    for name, found in places.items():
        parts.append(f"## {name}\n\n{_where(schema, name, found)}{_lead(schema['$defs'][name])}\n")
        parts.append(_fields(schema["$defs"][name], _link))
    return "\n".join(parts)


def file_page() -> str:
    """The page of the YAML files: tables, profiles, compat overlays, studies and data to import."""
    known = set(json_schema("run")["$defs"])
    parts = [
        "# Files\n\nGenerated from the code. Each file can name its schema in its first line, so that editors complete "
        "and check it; `rdc-sweep schema NAME` prints it, and `rdc-sweep validate` reports every problem of every "
        "file.\n"
    ]
    for name, title in FILES.items():
        schema = json_schema(name)
        own = {one: node for one, node in schema["$defs"].items() if one not in known | {"RunOverlay", "Range"}}
        link = partial(_file_link, schema, name, own)
        parts.append(f"## {name}\n\n{title} {_lead(schema)}\n\n{_fields(schema, link)}")
        for definition, node in own.items():
            parts.append(f"### {name}: {definition}\n\n{_lead(node)}\n\n{_fields(node, link)}")
    return "\n".join(parts)


def _file_link(schema: dict[str, Any], name: str, own: Collection[str], definition: str) -> str:
    if definition == "RunOverlay":
        return "fields of a [run](specs.md#runspec)"
    if definition == "Range":
        return type_text(schema["$defs"]["Range"], partial(_file_link, schema, name, own))
    return f"[{definition}](#{name}-{definition.lower()})" if definition in own else _link(definition, "specs.md")


def _link(definition: str, page: str = "") -> str:
    return f"[{definition}]({page}#{definition.lower()})"


def _lead(node: dict[str, Any]) -> str:
    """The docstring's first paragraph and what follows it, but not the sections for programmers."""
    paragraphs = node.get("description", "").split("\n\n")
    return "\n\n".join(one for one in paragraphs if not one.startswith(("Attributes:", "Raises:", "Args:")))


def _fields(node: dict[str, Any], link: Link) -> str:
    rows = [
        (
            f"`{name}`",
            type_text(field, link),
            "required" if name in node.get("required", ()) else default_text(field),
            field.get("description", ""),
        )
        for name, field in node.get("properties", {}).items()
        if "const" not in field
    ]
    return table(("field", "values", "default", "meaning"), rows) if rows else "No fields.\n"


def _places(schema: dict[str, Any]) -> dict[str, list[str]]:
    """Definitions in the order in which the fields of a run lead to them, each with the paths of those fields."""
    found: dict[str, list[str]] = {}
    waiting = [("", schema)]
    while waiting:
        path, node = waiting.pop(0)
        for name, field in node.get("properties", {}).items():
            for definition in references(field):
                inner = f"{path}.{name}".lstrip(".")
                if inner not in found.setdefault(definition, []):
                    found[definition].append(inner)
                    waiting.append((inner, schema["$defs"][definition]))
    return found


def _where(schema: dict[str, Any], name: str, paths: list[str]) -> str:
    properties = schema["$defs"][name].get("properties", {})
    tag = next(
        (
            f": {{{key}: {properties[key]['const']}}}"
            for key in ("name", "source")
            if "const" in properties.get(key, {})
        ),
        "",
    )
    return ", ".join(f"`{path}{tag}`" for path in paths) + "\n\n"
