"""Hooks of mkdocs: pages that are not in docs/ are added when the site is built, and links to them are kept."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from website.api import api_page
from website.commands import command_page
from website.settings import settings_page
from website.specs import file_page, spec_page

ROOT = Path(__file__).parents[1]

OUTSIDE = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changes.md"}
"""Files beside docs/, and the pages of the site that they become."""

GENERATED = {
    "reference/commands.md": command_page,
    "reference/settings.md": settings_page,
    "reference/specs.md": spec_page,
    "reference/files.md": file_page,
    "reference/api.md": api_page,
}
"""Pages written when the site is built."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for name, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=as_page((ROOT / name).read_text(encoding="utf-8"))))
    for name, write in GENERATED.items():
        files.append(File.generated(config, name, content=write()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the links of docs/ to files beside it lead to the pages that these have become.

    In code within tables, GitHub wants `\\|` for a bar, and Python-Markdown a bare one.
    """
    linked = re.sub(r"\]\(\.\./(\w+\.md)", lambda link: f"]({OUTSIDE.get(link[1], link[0][2:])}", markdown)
    rows = re.compile(r"^\|.*$", re.MULTILINE)
    return rows.sub(lambda row: re.sub(r"`[^`]*`", lambda code: code[0].replace("\\|", "|"), row[0]), linked)


def as_page(text: str) -> str:
    """A file from beside docs/, with links as they are from within docs/."""
    inside = re.sub(r"\]\(docs/", "](", text)
    return re.sub(r"\]\((\w+\.md)", lambda link: f"]({OUTSIDE.get(link[1], link[1])}", inside)
