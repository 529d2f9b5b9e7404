"""A comparison as a folder: its JSON, and figures."""

from pathlib import Path

from rdc_sweeps.files import write_atomically, write_json
from rdc_sweeps.reporting.comparison import Comparison
from rdc_sweeps.reporting.comparison_formats import comparison_json
from rdc_sweeps.reporting.figures.changes import draw_changes
from rdc_sweeps.reporting.figures.choice import ImageChoice
from rdc_sweeps.reporting.figures.folder import FigureChoice, FigureKind, Tell, created, write_figures
from rdc_sweeps.reporting.figures.style import encoded
from rdc_sweeps.settings import Settings


def write_comparison(
    found: Comparison, settings: Settings, folder: Path, images: ImageChoice | None = None, tell: Tell = lambda _: None
) -> list[Path]:
    """Write `comparison.json`, `changes.png` and figures of the sides; files of these names are replaced.

    Args:
        found: The comparison.
        settings: See `write_figures`.
        folder: Created if it does not exist.
        images: The test images whose predictions are shown; None: those that change most, if images were compared.
        tell: See `write_figures`.

    Raises:
        UsageError: The folder cannot be created, or an image does not exist.
    """
    created(folder)
    path = folder / "comparison.json"
    write_json(path, comparison_json(found))
    written = [path]
    if (figure := draw_changes(found.sides[0].name, found.images)) is not None:
        content = encoded(figure)
        path = folder / "changes.png"
        write_atomically(path, lambda file: file.write(content))
        written.append(path)
    kinds: tuple[FigureKind, ...] = ("curves", "classes", "predictions", "errors")
    if not found.images:
        kinds = ("curves",) if images is None else ("curves", "predictions", "errors")
    choice = FigureChoice(kinds, images or (ImageChoice(rule="most-changed") if found.images else None))
    return [*written, *write_figures(found.sides, settings, folder, choice, tell)]
