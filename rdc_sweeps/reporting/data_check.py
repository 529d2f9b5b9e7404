"""The check of a data root for people and programs: on a terminal, as JSON, and as a folder with a page."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rdc_sweeps.data.checking.check import SPLITS
from rdc_sweeps.data.checking.findings import Check, DataCheck, Level
from rdc_sweeps.files import write_atomically
from rdc_sweeps.reporting.figures.data_sheet import draw_sheet
from rdc_sweeps.reporting.figures.folder import created
from rdc_sweeps.reporting.figures.style import encoded
from rdc_sweeps.reporting.pages import page_templates
from rdc_sweeps.reporting.text_tables import TextTable

STYLES: dict[Level, str] = {"ok": "green", "skipped": "dim", "warning": "yellow", "error": "red"}


def as_json(check: DataCheck) -> dict[str, Any]:
    """The check as plain JSON; `rdc-sweep schema data-check` prints its schema."""
    data: dict[str, Any] = TypeAdapter(DataCheck).dump_python(check, mode="json")
    return data


def render_terminal(check: DataCheck) -> RenderableType:
    """All checks: verdict, what was found, what is expected, and the remedy."""
    shown = Table.grid(padding=(0, 1))
    for one in check.checks:
        style = STYLES[one.level]
        text = Text(one.found, overflow="fold")
        text.append(f"\nexpected: {one.expected}", style="dim")
        if one.remedy:
            text.append(f"\n→ {one.remedy}", style=style)
        shown.add_row(Text(one.level, style=style), Text(one.name, style="bold", no_wrap=True), text)
    head = Text.assemble((check.root, "bold"), f" as {check.dataset}", overflow="fold")
    return Group(head, "", shown, "", *map(Text, _fingerprint_lines(check)))


def summary(check: DataCheck) -> str:
    """How many checks have failed."""
    return f"{check.count('error')} errors, {check.count('warning')} warnings, {check.count('skipped')} skipped"


def _fingerprint_lines(check: DataCheck) -> list[str]:
    """The fingerprint of each split, or that there is none."""
    found = {name: check.fingerprints.get(name) for name in SPLITS.values()}
    return [
        f"fingerprint of {name}: {record.digest} ({record.images} images), as runs record it in data.json"
        if record
        else f"no fingerprint of {name}: files are missing or damaged"
        for name, record in found.items()
    ]


def write_folder(check: DataCheck, folder: Path) -> list[Path]:
    """Write `check.json`, the contact sheet `check.png`, and `check.html` with both; files of these names are replaced.

    Raises:
        UsageError: The folder cannot be created, or a package is missing.
    """
    templates = page_templates(Path(__file__).parent / "templates")
    created(folder)
    sheet = encoded(draw_sheet(check))
    page = templates.get_template("data_check.html.j2").render(
        title=f"Check of {check.root}",
        summary=summary(check),
        table=_table(check.checks),
        fingerprints=_fingerprint_lines(check),
        sheet=base64.b64encode(sheet).decode(),
    )
    contents = {"check.json": json.dumps(as_json(check)).encode(), "check.png": sheet, "check.html": page.encode()}
    for name, content in contents.items():
        write_atomically(folder / name, lambda file, content=content: file.write(content))  # type: ignore[misc]
    return [folder / name for name in contents]


def _table(checks: Sequence[Check]) -> TextTable:
    rows = [[one.name, one.level, one.found, one.expected, one.remedy or ""] for one in checks]
    return TextTable("Checks", ["check", "verdict", "found", "expected", "remedy"], rows)
