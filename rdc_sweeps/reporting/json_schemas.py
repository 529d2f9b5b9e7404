"""JSON Schemas of what commands print as JSON. Their versions are the fields `version` of the reports."""

from typing import Any, Literal

from pydantic import TypeAdapter

from rdc_sweeps.data.checking.findings import DataCheck
from rdc_sweeps.reporting.evidence import ClaimsReport
from rdc_sweeps.reporting.report import Report

OutputName = Literal["report", "claims", "data-check"]

_OUTPUTS: dict[OutputName, type[Report] | type[ClaimsReport] | type[DataCheck]] = {
    "report": Report,
    "claims": ClaimsReport,
    "data-check": DataCheck,
}


def output_schema(name: OutputName) -> dict[str, Any]:
    """The JSON Schema of `rdc-sweep NAME --format json`, or of `rdc-sweep data check --json`."""
    schema = TypeAdapter(_OUTPUTS[name]).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
