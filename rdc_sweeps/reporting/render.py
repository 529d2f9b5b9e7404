"""A report in one of its formats, on a console."""

from collections.abc import Callable, Mapping
from typing import Literal

from rich.console import Console

from rdc_sweeps.reporting.comma_separated import render_csv
from rdc_sweeps.reporting.json_document import render_json
from rdc_sweeps.reporting.markdown import render_markdown
from rdc_sweeps.reporting.report import Report
from rdc_sweeps.reporting.terminal import render_terminal

Format = Literal["terminal", "markdown", "csv", "json"]

TEXTS: Mapping[str, Callable[[Report], str]] = {"markdown": render_markdown, "csv": render_csv, "json": render_json}

FILE_WIDTH = 120
"""Columns of a terminal report that goes to a file or pipe."""


def render(report: Report, form: Format, console: Console) -> None:
    """Print a report; text formats go out as they are, without wrapping or colour."""
    if form == "terminal":
        wide = console if console.is_terminal else Console(file=console.file, width=FILE_WIDTH, color_system=None)
        wide.print(render_terminal(report))
    else:
        console.file.write(TEXTS[form](report))
