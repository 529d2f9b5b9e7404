"""Generated parts of pages: what stands between `<!-- NAME -->` and `<!-- end of NAME -->`."""

from pathlib import Path

from rdc_sweeps.errors import UsageError
from rdc_sweeps.files import write_atomically


def with_part(page: str, name: str, text: str, place: str) -> str:
    """The page with this text as its part of that name.

    Args:
        page: The page.
        name: Of the part.
        text: What is to stand there.
        place: Where the page is, for the error.

    Raises:
        UsageError: The page does not have each marker once, in order.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    head, found, rest = page.partition(begin)
    _, ended, foot = rest.partition(end)
    if not found or not ended or page.count(begin) + page.count(end) != 2:
        raise UsageError(f"{place}: must have the lines {begin} and {end} once, in this order; write them in again")
    return f"{head}{begin}\n{text}{end}{foot}"


def write_part(page: Path, name: str, text: str) -> None:
    """Replace the part of that name in a file; see `with_part`."""
    content = with_part(page.read_text(encoding="utf-8"), name, text, str(page)).encode()
    write_atomically(page, lambda file: file.write(content))
