"""The generated reference: nothing is left out, and every entry says something."""

import re

import pytest

from rdc_sweeps.cli.main import ENTRIES
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.fields import leaf_paths
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.schema import json_schema
from website.commands import command_page
from website.hooks import OUTSIDE, as_page
from website.schemas import type_text
from website.settings import settings_page
from website.specs import file_page, spec_page
from website.tables import table


def rows(page: str) -> list[list[str]]:
    """The cells of all tables, without headers."""
    lines = [
        line
        for line in page.splitlines()
        if line.startswith("| ") and not line.startswith(("| ---", "| field", "| in `", "| argument"))
    ]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_commands_have_all_arguments_and_what_they_mean() -> None:
    page = command_page()
    shown = [entry.name for entry in ENTRIES if entry.summary]
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert list(dict.fromkeys(name.split()[0] for name in headings)) == shown
    assert {"regions build", "data import cityscapes"} <= {*headings}
    assert not re.search("study-worker|`worker`", page)
    found = rows(page)
    assert len(found) > 100
    assert [row for row in found if not all(row)] == []
    assert "`--seeds <str>`" in {name for name, _ in found}


def test_settings_are_complete() -> None:
    found = rows(settings_page())
    assert [row[0] for row in found] == [f"`{name}`" for name in Settings.model_fields]
    assert [row[1] for row in found if not row[1].startswith("`RDC_SWEEP_") or not row[4]] == []


def test_specs_have_all_fields_and_what_they_mean() -> None:
    page = spec_page()
    found = rows(page)
    names = {row[0].strip("`") for row in found}
    assert {path.rpartition(".")[2] for path in leaf_paths(RunSpec)} <= names
    unexplained = [row[0] for row in found if not row[3] and not row[1].startswith("[")]
    assert not unexplained, f"give these fields of specs a description: {unexplained}"
    anchors = {name.lower() for name in re.findall(r"^## (\w+)$", page, re.MULTILINE)}
    assert anchors == {name.lower() for name in json_schema("run")["$defs"]} | {"runspec"}
    assert set(re.findall(r"\]\(#(\w+)\)", page)) <= anchors


@pytest.mark.parametrize("name", ["table", "profile", "compat", "study"])
def test_files_have_all_fields(name: str) -> None:
    page = file_page()
    section = page[page.index(f"\n## {name}\n") :]
    shown = {row[0].strip("`") for row in rows(section)}
    assert json_schema(name)["properties"].keys() <= shown  # type: ignore[arg-type]


def test_types_are_written_as_people_write_them() -> None:
    def text(node: dict[str, object]) -> str:
        return type_text(node, str.lower)

    assert text({"type": "integer", "minimum": 1, "maximum": 2**63 - 1}) == "integer ≥ 1"
    assert text({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]}) == "number > 0 or null"
    assert (
        text({"type": "array", "prefixItems": [{"type": "integer"}, {"$ref": "#/$defs/Other"}]}) == "[integer, other]"
    )
    assert text({"enum": ["a", 2]}) == "`a`, `2`"


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(("a", "b"), [("`x|y`", "one | two\nthree")]).splitlines()[2] == r"| `x\|y` | one &#124; two three |"


def test_links_of_files_beside_docs_lead_to_pages() -> None:
    text = "[run](docs/running.md#settings) [rules](CONTRIBUTING.md) ![table](docs/images/table3.svg) [site](https://a.example/x.md)"
    assert (
        as_page(text)
        == "[run](running.md#settings) [rules](contributing.md) ![table](images/table3.svg) [site](https://a.example/x.md)"
    )
    assert set(OUTSIDE.values()) == {"index.md", "contributing.md", "changes.md"}
