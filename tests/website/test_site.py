"""The site is built as `make docs` builds it: no warnings, and no page needs the network."""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
}
"""Attributes whose targets a browser loads; so are all of `link`, but those that only name a page."""

NAMED = {"canonical", "prev", "next", "alternate", "license"}


class Resources(HTMLParser):
    """Collects what a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.mermaid = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        values = {name: value or "" for name, value in attrs}
        if tag in LOADED:
            self.found.append(values.get(LOADED[tag], ""))
        if tag == "link" and values.get("rel") not in NAMED:
            self.found.append(values.get("href", ""))
        self.found += re.findall(r"url\(\s*['\"]?([^)'\"]+)", values.get("style", ""))
        self.mermaid |= "mermaid" in values.get("class", "").split()


def loaded(page: Path) -> Iterator[str]:
    """What a page or style sheet loads."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".css":
        yield from re.findall(r"url\(\s*['\"]?([^)'\"]+)", text)
        yield from re.findall(r"@import\s+['\"]([^'\"]+)", text)
        return
    parser = Resources()
    parser.feed(text)
    # The theme fetches a library for these.
    yield from ["https://mermaid"] if parser.mermaid else []
    yield from parser.found


def is_elsewhere(target: str) -> bool:
    return re.match(r"(?:[a-z][a-z0-9+.-]*:)?//", target, re.IGNORECASE) is not None


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (
        f"{done.stdout}{done.stderr}\n`make docs` fails: give a new page of docs/ a line in `nav` of mkdocs.yml, and "
        "correct links and anchors that lead nowhere"
    )
    return folder


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 30
    outside = [
        f"{page.relative_to(site)}: {target}" for page in pages for target in loaded(page) if is_elsewhere(target)
    ]
    assert not outside, "\n".join(["keep these in docs/, or link to them instead of loading them:", *outside])
    # What is loaded is there.
    missing = [
        f"{page.relative_to(site)}: {target}"
        for page in site.rglob("*.html")
        if page.name != "404.html"
        for target in loaded(page)
        if not target.startswith(("data:", "#"))
        and target
        and not (page.parent / target.partition("?")[0].partition("#")[0]).exists()
    ]
    assert not missing
    assert "Wasserstein" in (site / "search" / "search_index.js").read_text(encoding="utf-8")
    assert "rdc-sweep run [OPTIONS]" in (site / "reference" / "commands.html").read_text(encoding="utf-8")


def test_what_would_be_loaded_is_recognised(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        '<link rel="canonical" href="https://a.example/"><link rel=stylesheet href="https://b.example/x.css">'
        '<script src="//c.example/x.js"></script><img src="images/x.png"><a href="https://d.example">d</a>'
        '<p style="background: url(https://e.example/x.png)"><pre class="mermaid"></pre>'
    )
    found = [target for target in loaded(page) if is_elsewhere(target)]
    assert found == ["https://mermaid", "https://b.example/x.css", "//c.example/x.js", "https://e.example/x.png"]
