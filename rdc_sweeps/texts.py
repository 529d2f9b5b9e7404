"""Text of others (titles, names, paths, messages) made safe for each kind of output."""

import re
import unicodedata
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

NATURAL_WIDTH = 1000
"""A width that every table fits into, for measuring one."""

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that control a terminal or the direction of text; not tabs and line ends."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of cells that spreadsheets compute."""


def visible(text: str) -> str:
    """The text with a sign in place of each character that controls a terminal."""
    if text.isprintable():
        return text
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


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}", "[": "{[}", "]": "{]}", "*": "{*}",
    "±": r"\(\pm\)", "×": r"\(\times\)", "−": r"\(-\)", "Δ": r"\(\Delta\)", "↑": r"\(\uparrow\)",
    "↓": r"\(\downarrow\)", "✓": r"\(\checkmark\)", "≤": r"\(\le\)", "≥": r"\(\ge\)", "–": r"\textendash{}",
    "—": r"\textemdash{}", "…": r"\dots{}", "‘": r"\textquoteleft{}", "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}", "”": r"\textquotedblright{}",
}  # fmt: skip
"""Signs that LaTeX reads as commands, some at the beginning of a table's line, and those that it has commands for."""

_ACCENTS = "\u0300\u0301\u0302\u0303\u0308\u030a\u0327\u030c"
"""On letters, these are in every font of LaTeX."""


def latex(text: str) -> str:
    """The text as LaTeX: signs that it reads as commands escaped, and `?` for characters that its basic fonts lack."""
    text = "".join(_latex_character(one) for one in visible(re.sub(r"[\n\t]", " ", text)))
    return re.sub("-(?=-)", "-{}", text)  # two hyphens would become a dash


def _latex_character(one: str) -> str:
    if one in _LATEX:
        return _LATEX[one]
    if one.isascii():
        return one
    parts = unicodedata.normalize("NFD", one)
    return one if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS else "?"


class TextConsole(Console):
    """A console that prints text as it is: no markup, no emoji codes, and no control characters but its own."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})  # type: ignore[arg-type]

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as Rich does, but with control characters in texts made visible."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)
