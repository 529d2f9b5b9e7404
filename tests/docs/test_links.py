"""Links between the pages lead somewhere on GitHub; mkdocs checks those of the site."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.docs.pages import ROOT, anchors, links


def test_links_lead_to_files_and_headings_that_exist() -> None:
    broken = []
    for place, page, target in links():
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not path.exists():
            broken.append(f"{place}: {target}: there is no such file")
        elif parts.fragment and parts.fragment not in anchors(path):
            broken.append(f"{place}: {target}: no such heading; there are {sorted(anchors(path))}")
    assert not broken, "\n".join(["correct these links:", *broken])


def test_every_page_has_its_place_in_the_site() -> None:
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    missing = {path.name for path in ROOT.glob("docs/*.md")} - set(listed)
    assert not missing, f"give these pages of docs/ a line under `nav` in mkdocs.yml: {sorted(missing)}"


def test_pictures_are_used() -> None:
    shown = {(page.parent / unquote(target)).resolve() for _, page, target in links()}
    pictures = {path for kind in ("png", "svg") for path in ROOT.glob(f"docs/**/*.{kind}")}
    assert not pictures - shown, "no page shows these pictures; show them or remove them"


def test_anchors_are_those_of_github(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# `a_theta`, the mapping network\n\n## More & more\n\n## More & more\n")
    assert anchors(page) == {"a_theta-the-mapping-network", "more--more", "more--more-1"}
