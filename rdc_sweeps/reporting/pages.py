"""HTML pages: one layout, stylesheet and script for reports, studies and probes. No page needs a network."""

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rdc_sweeps.errors import UsageError
from rdc_sweeps.texts import visible

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"

ASSETS = ("page.css", "page.js")
"""Files that the pages of a folder share; a page that stands alone contains them."""


@dataclass(frozen=True)
class Frame:
    """What stands around a page in a folder of pages.

    Attributes:
        up: From the page's own folder to the folder of all pages: empty, or `../`.
        links: Address and text of each page in the navigation.
        here: Address of the page in the navigation that this page is, or belongs to.
        live: Whether the page is served while runs are training, and refreshes itself.
        written: By what and when the page was written.
    """

    up: str
    links: tuple[tuple[str, str], ...]
    here: str
    live: bool = False
    written: str = ""


def page_templates(folder: Path) -> "jinja2.Environment":
    """The templates of a folder, and those that all pages share; all texts that they show are escaped.

    A page without a `frame` (see `Frame`) stands alone and needs no other file.

    Raises:
        UsageError: A package is missing.
    """
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError as error:
        raise UsageError(f"{error}; pages need: pip install -e '.[html]' in the checkout") from error
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Control characters are no part of HTML, and signs that turn the direction of text are not to do so here.
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    style, script = (asset(name).decode() for name in ASSETS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals.update(
        frame=None,
        stylesheet=Markup(style),
        script=Markup(script),
        policy_alone=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        # Files opened from disk are not `self` in every browser.
        policy_in_folder="default-src 'none'; style-src 'self' file: 'unsafe-inline'; script-src 'self' file:; "
        "img-src 'self' file: data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'",
    )
    environment.filters.update(code_spans=code_spans, digest=_digest)
    return environment


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def asset(name: str) -> bytes:
    """The content of one of `ASSETS`."""
    return (TEMPLATES / name).read_bytes()


def code_spans(text: str) -> "Markup":
    """A text with its backquoted parts, which name something in a command or file, as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(visible(text)))))
