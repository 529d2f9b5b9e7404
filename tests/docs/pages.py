"""What the pages of the documentation show: commands, code, links and headings, with the lines where they stand."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]

PAGES = tuple(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(ROOT.glob("docs/*.md"))
)

PROGRAMS = ("rdc-sweep", "make", "python", "pip", "export", "wandb", "optuna-dashboard")
"""A line of a block that starts with one of these is a command."""

PROMPT = "$ "
"""Before a command whose output is shown in the lines below it."""


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        page: Path of the page.
        line: Where it stands.
        language: Of a fenced block; empty if none is given.
        text: Its lines.
    """

    page: Path
    line: int
    language: str
    text: str

    @property
    def is_synopsis(self) -> bool:
        """Whether it lists what may be given to commands, rather than commands."""
        return re.search(r"^rdc-sweep .*(\[|\.\.\.)", self.text, re.MULTILINE) is not None


@dataclass(frozen=True)
class Command:
    """A command that a page shows.

    Attributes:
        place: Page and line, for messages.
        text: As shown, without its comment.
        output: The lines below it if they show what it prints, else None.
    """

    place: str
    text: str
    output: str | None = None

    @property
    def arguments(self) -> list[str]:
        """The program and its arguments."""
        return shlex.split(self.text)

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@lru_cache
def tokens(page: Path) -> list[Token]:
    """The parsed page."""
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def blocks() -> Iterator[Block]:
    """All blocks of code of all pages."""
    for page in PAGES:
        for token in tokens(page):
            if token.type in ("fence", "code_block"):
                assert token.map is not None
                yield Block(page, token.map[0] + 1 + (token.type == "fence"), token.info, token.content)


def commands() -> Iterator[Command]:
    """All commands in blocks, but not synopses."""
    for block in blocks():
        if block.language in ("python", "toml", "yaml") or block.is_synopsis:
            continue
        lines = block.text.splitlines()
        for number, line in enumerate(lines):
            place = f"{block.page.relative_to(ROOT)}:{block.line + number}"
            command = shlex.join(shlex.split(line.removeprefix(PROMPT), comments=True)) if _is_command(line) else ""
            if line.startswith(PROMPT):
                following = lines[number + 1 :]
                end = next((at for at, one in enumerate(following) if one.startswith(PROMPT)), len(following))
                yield Command(place, command, "\n".join(following[:end]))
            elif command:
                yield Command(place, command)


def _is_command(line: str) -> bool:
    return line.removeprefix(PROMPT).partition(" ")[0] in PROGRAMS


def synopses() -> Iterator[Command]:
    """The entries of synopses: a command and everything that its lines say about it."""
    for block in blocks():
        if not block.is_synopsis:
            continue
        for entry in re.split(r"^(?=rdc-sweep )", block.text, flags=re.MULTILINE):
            if entry.startswith("rdc-sweep "):
                yield Command(f"{block.page.relative_to(ROOT)}:{block.line}", entry)


def inline_code() -> Iterator[tuple[str, str]]:
    """Code within the text of all pages: page and line, and the code."""
    for page in PAGES:
        for token in tokens(page):
            for child in token.children or ():
                if child.type == "code_inline":
                    # Tables write a bar as \|.
                    yield f"{page.relative_to(ROOT)}:{(token.map or [0])[0] + 1}", child.content.replace("\\|", "|")


def links() -> Iterator[tuple[str, Path, str]]:
    """Links and pictures of all pages: page and line, the page, and the target."""
    for page in PAGES:
        for token in tokens(page):
            for child in token.children or ():
                target = child.attrGet("href" if child.type == "link_open" else "src")
                if child.type in ("link_open", "image") and target:
                    yield f"{page.relative_to(ROOT)}:{(token.map or [0])[0] + 1}", page, str(target)


@lru_cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    found: dict[str, int] = {}
    parsed = tokens(page)
    for opening, content in pairwise(parsed):
        if opening.type == "heading_open":
            text = "".join(child.content for child in content.children or ())
            anchor = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            count = found[anchor] = found.get(anchor, -1) + 1
            if count:
                found[f"{anchor}-{count}"] = 0
    return set(found)
