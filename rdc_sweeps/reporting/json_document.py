"""A report as JSON: everything it holds, for other programs."""

import json
from dataclasses import asdict

from rdc_sweeps.reporting.report import Report


def render_json(report: Report) -> str:
    """The report's fields by their names."""
    return json.dumps(asdict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
