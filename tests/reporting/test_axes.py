from pathlib import Path
from typing import Any

import yaml

from rdc_sweeps.reporting.axes import common_facts, label_columns, labels
from rdc_sweeps.specs.catalogue import Catalogue, Run

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
CONTRAST = {"name": "region_contrast"}


def runs(folder: Path, *specs: dict[str, Any]) -> list[Run]:
    """Rows of a made-up table under a profile that changes nothing."""
    rows = [{"id": f"row-{index}", "method": f"Method {index}", "spec": spec} for index, spec in enumerate(specs)]
    (folder / "profiles").mkdir()
    (folder / "profiles" / "plain.yaml").write_text("profile: plain\ntitle: Plain\nselection: last\n")
    (folder / "made.yaml").write_text(yaml.safe_dump({"table": "made", "title": "M", "dataset": "D", "rows": rows}))
    return Catalogue(folder).runs("made", "plain")


def seen(found: list[Run]) -> tuple[list[str], list[tuple[str | bool, ...]]]:
    columns = label_columns(found)
    return [column.title for column in columns], [labels(run, columns) for run in found]


def method(extraction: str = "region", contrast: str = "gaussian", **fields: Any) -> dict[str, Any]:
    return {"method": {**CONTRAST, "extraction": {"name": extraction}, "contrast": {"name": contrast, **fields}}}


def test_table3_has_the_papers_columns() -> None:
    found = Catalogue(EXPERIMENTS).runs("table3", "paper")
    titles, rows = seen(found)
    assert titles == ["Label setting", "Patch", "Region", "Vector", "Pixel", "Gaussian"]
    assert rows[0] == ("onelabel", True, False, True, False, False)
    assert rows[-1] == ("randomlabels", False, True, False, False, True)
    assert common_facts(found) == {
        "method": "region_contrast",
        "backbone": "hrnet18",
        "gaussian distance": "wasserstein",
        "regions": "sam",
    }


def test_methods_and_contrasts_without_extractions(tmp_path: Path) -> None:
    # Like Tables 2 and 6: a baseline without contrast, then region contrasts.
    titles, rows = seen(
        runs(tmp_path, {"method": {"name": "supervised"}}, method(contrast="vector"), method(contrast="gaussian"))
    )
    assert titles == ["Method", "Vector", "Gaussian"]
    assert rows == [("Method 0", False, False), ("Method 1", True, False), ("Method 2", False, True)]


def test_backbones_and_extractions_without_contrasts(tmp_path: Path) -> None:
    # Like Table 1.
    light = {"backbone": {"name": "efficientnet_lite0"}}
    titles, rows = seen(runs(tmp_path, light | {"method": {"name": "supervised"}}, method("patch"), method("region")))
    assert titles == ["Method", "Backbone", "Patch", "Region"]
    assert rows[0] == ("Method 0", "efficientnet_lite0", False, False)
    assert rows[1] == ("Method 1", "hrnet18", True, False)


def test_distances(tmp_path: Path) -> None:
    # Like Table 5.
    titles, rows = seen(runs(tmp_path, method(distance="kl"), method(distance="wasserstein")))
    assert titles == ["Gaussian distance"]
    assert rows == [("kl",), ("wasserstein",)]


def test_rows_that_differ_in_nothing_else(tmp_path: Path) -> None:
    titles, rows = seen(runs(tmp_path, method(), method()))
    assert titles == []
    assert rows == [(), ()]
