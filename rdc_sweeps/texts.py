"""Text of others (titles, names, paths, messages) made safe for each kind of output."""

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that control a terminal or the direction of text; not tabs and line ends."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of cells that spreadsheets compute."""


def visible(text: str) -> str:
    """The text with a sign in place of each character that controls a terminal."""
    return _UNSAFE.sub(lambda found: chr(0x2400 + ord(found[0])) if found[0] < " " else "�", text)


def csv_cell(text: str) -> str:
    """The text of a CSV cell, which no spreadsheet takes for a formula."""
    text = visible(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def markdown(text: str) -> str:
    """The text with Markdown's signs and the ends of table cells escaped, except within backquotes."""
    for sign in ("\\", "|", "*", "_", "<", "[") if "`" not in text else ("|", "<"):
        text = text.replace(sign, f"\\{sign}")
    return visible(text).replace("\n", " ")


class TextConsole(Console):
    """A console that prints text as it is: no markup, no emoji codes, and no control characters but its own."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})  # type: ignore[arg-type]

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does, but with control characters in texts made visible."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)
