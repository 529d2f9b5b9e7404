"""JSON Schemas of what commands print as JSON. Their versions are the fields `version` of the reports."""

from typing import Any, Literal

from pydantic import TypeAdapter

from rdc_sweeps.reporting.evidence import ClaimsReport
from rdc_sweeps.reporting.report import Report

OutputName = Literal["report", "claims"]

_OUTPUTS: dict[OutputName, type[Report] | type[ClaimsReport]] = {"report": Report, "claims": ClaimsReport}


def output_schema(name: OutputName) -> dict[str, Any]:
    """The JSON Schema of `rdc-sweep NAME --format json`."""
    schema = TypeAdapter(_OUTPUTS[name]).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
