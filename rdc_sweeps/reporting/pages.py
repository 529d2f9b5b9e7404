"""HTML pages that need no network and no other files."""

from pathlib import Path
from typing import TYPE_CHECKING

from rdc_sweeps.errors import UsageError

if TYPE_CHECKING:
    import jinja2


def page_templates(folder: Path) -> "jinja2.Environment":
    """The templates of a folder; all texts that they show are escaped.

    Raises:
        UsageError: A package is missing.
    """
    try:
        import jinja2
    except ImportError as error:
        raise UsageError(f"{error}; pages need: pip install -e '.[tune]' in the checkout") from error
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
