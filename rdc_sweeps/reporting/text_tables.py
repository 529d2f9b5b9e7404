"""Tables of texts, which every format prints."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextTable:
    """A table of texts; the first column names the rows, the others hold numbers."""

    title: str
    columns: list[str]
    rows: list[list[str]]
