"""JSON Schemas of the YAML files, for editors and other programs."""

from typing import Any, Literal

from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.fields import leaf_paths
from rdc_sweeps.specs.importing import ImportSpec
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.study import StudySpec, why_fixed
from rdc_sweeps.specs.table import CompatSpec, ProfileSpec, TableSpec

SchemaName = Literal["table", "profile", "compat", "study", "run", "import"]


_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MODELS: dict[SchemaName, type[Spec]] = {
    "table": TableSpec,
    "profile": ProfileSpec,
    "compat": CompatSpec,
    "study": StudySpec,
}


def json_schema(name: SchemaName) -> dict[str, Any]:
    """The JSON Schema of a table, profile, compat or study file, of data to import, or of a resolved run.

    Overlays (`defaults`, `spec`, `set`) have the fields of a run, none of them required.
    """
    if name == "import":
        return {"$schema": _DIALECT, **ImportSpec.model_json_schema()}
    run = RunSpec.model_json_schema()
    if name == "run":
        return {"$schema": _DIALECT, **run}
    schema = _MODELS[name].model_json_schema()
    definitions = schema.setdefault("$defs", {})
    for key, definition in run.pop("$defs", {}).items():
        definitions[key] = _partial(definition)
    definitions["RunOverlay"] = _partial(run)
    reference = {"$ref": "#/$defs/RunOverlay"}
    if name == "table":
        schema["properties"]["defaults"] = reference
        definitions["RowSpec"]["properties"]["spec"] = reference
    elif name == "study":
        listed = {"type": "array", "items": {"type": "string", "pattern": "^[^=]+="}}
        schema["properties"]["set"] = {**schema["properties"]["set"], "anyOf": [reference, listed]}
        space = schema["properties"]["space"]
        definitions["Range"] = space["additionalProperties"]
        # For completion in editors; fields of extensions are valid, too, but not listed.
        space["properties"] = {
            path: {"$ref": "#/$defs/Range"} for path in leaf_paths(RunSpec) if why_fixed(path) is None
        }
        space["additionalProperties"] = {"$ref": "#/$defs/Range"}
    else:
        definitions["Overlay"]["properties"]["set"] = reference
    return {"$schema": _DIALECT, **schema}


def _partial(node: Any) -> Any:
    """A copy of a schema in which nothing is required and a union accepts any subset of a variant's fields."""
    if isinstance(node, dict):
        copy = {key: _partial(value) for key, value in node.items() if key not in {"required", "discriminator"}}
        if "oneOf" in copy:
            copy["anyOf"] = copy.pop("oneOf")
        return copy
    if isinstance(node, list):
        return [_partial(item) for item in node]
    return node
