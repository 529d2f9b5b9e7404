"""Probes as a folder: the records as JSON, a figure for each term, and a page that needs no other file."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

from rdc_sweeps.errors import UsageError
from rdc_sweeps.files import write_atomically
from rdc_sweeps.reporting import probe_figures
from rdc_sweeps.reporting.figures.style import encoded
from rdc_sweeps.reporting.pages import page_templates
from rdc_sweeps.reporting.probe_tables import comparison, heading, tables_of
from rdc_sweeps.reporting.probes import ProbedRun, as_json

TEMPLATE = "probe.html.j2"


def write_folder(runs: Sequence[ProbedRun], folder: Path, *, compare: bool = False) -> list[Path]:
    """Write `probe.json`, `probe-TERM.png` and `probe.html`; files of these names are replaced.

    Args:
        runs: What was probed.
        folder: Created if it does not exist.
        compare: Also show the differences of the further runs from the first.

    Raises:
        UsageError: The folder cannot be created, or a package is missing.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be created: {error.strerror}; choose another folder with --output"
        ) from error
    terms = list(dict.fromkeys(probe.term for run in runs for probe in run.probes))
    pictures = {term: encoded(probe_figures.draw(runs, term)) for term in terms}
    contents = {
        "probe.json": json.dumps(as_json(runs)).encode(),
        **{f"probe-{term}.png": picture for term, picture in pictures.items()},
        "probe.html": render_page(runs, pictures, compare=compare).encode(),
    }
    for name, content in contents.items():
        write_atomically(folder / name, lambda file, content=content: file.write(content))  # type: ignore[misc]
    return [folder / name for name in contents]


def render_page(runs: Sequence[ProbedRun], pictures: dict[str, bytes], *, compare: bool) -> str:
    """The page, with a picture for each term.

    Raises:
        UsageError: A package is missing.
    """
    return (
        page_templates(Path(__file__).parent / "templates")
        .get_template(TEMPLATE)
        .render(
            title=f"Probe of {runs[0].title}" if len(runs) == 1 else f"Probes of {len(runs)} runs",
            figures=[(term, base64.b64encode(picture).decode()) for term, picture in pictures.items()],
            compared=comparison(runs) if compare else [],
            sections=[(heading(run, probe), tables_of(probe)) for run in runs for probe in run.probes],
        )
    )
