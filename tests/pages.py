"""HTML pages as tests see them: their text, their parts, and a browser that shows them."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("RDC_REQUIRE_CHROMIUM"), reason="no Chromium here"
)

VOID = {"meta", "link", "input", "img", "br"}
UNSHOWN = {"script", "style", "title"}
LINES = {"tr", "p", "li", "h1", "h2", "h3", "dd", "caption", "summary", "pre", "label", "figcaption", "option"}


@dataclass
class Page(HTMLParser):
    """A parsed page."""

    html: str = field(repr=False)
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Every element: its name and attributes."""
    text: str = ""
    """What a reader sees, a line for each row or paragraph."""
    open: list[str] = field(default_factory=list)
    """Elements that are not closed."""

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        self.close()
        lines = (re.sub(r"\s+", " ", line).strip(" |") for line in self.text.split("\n"))
        self.text = "".join(f"{line}\n" for line in lines if line)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "small":
            self.text += " "

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())
        self.text += "\n" if tag in LINES else " | " if tag in {"td", "th", "dt", "a"} else ""

    def handle_data(self, data: str) -> None:
        if not UNSHOWN & set(self.open):
            self.text += data if self.open[-1:] == ["pre"] else data.replace("\n", " ")

    def of(self, tag: str) -> list[dict[str, str]]:
        """The attributes of all elements of this name."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self) -> list[str]:
        """All ids."""
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


@contextmanager
def browser(**options: Any) -> Iterator[Any]:
    """A page of a headless Chromium, of Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Tests run as root in containers, where its sandbox does not work.
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield chromium.new_context(**options).new_page()
        finally:
            chromium.close()


def wait(page: Any, condition: str) -> None:
    """Wait until a condition holds in a page; Playwright's own way needs what the policy of our pages forbids."""
    for _ in range(1200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"waited in vain for {condition}")


def watched(page: Any) -> list[str]:
    """What a page says and asks for that it should not, as it happens: errors, messages, requests to a network."""
    said: list[str] = []
    page.on("console", lambda message: said.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    page.on("request", lambda request: said.append(request.url) if request.url.startswith(("http", "ws")) else None)
    return said
