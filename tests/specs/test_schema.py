import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.document import read_document
from rdc_sweeps.specs.schema import SchemaName, json_schema

SHIPPED = Path(__file__).parents[2] / "experiments"
TABLES = sorted(SHIPPED.glob("*.yaml"))
PROFILES = sorted((SHIPPED / "profiles").glob("*.yaml"))


def faults(name: SchemaName, data: Any) -> list[str]:
    return [error.json_path for error in Draft202012Validator(json_schema(name)).iter_errors(data)]


@pytest.mark.parametrize("name", ["table", "profile", "run"])
def test_schemas_are_schemas(name: SchemaName) -> None:
    Draft202012Validator.check_schema(json_schema(name))


@pytest.mark.parametrize("name", ["table", "profile"])
def test_shipped_schemas_are_up_to_date(name: SchemaName) -> None:
    """Else: `rdc-sweep schema NAME > experiments/schema/NAME.schema.json`."""
    text = (SHIPPED / "schema" / f"{name}.schema.json").read_text(encoding="utf-8")
    assert json.loads(text) == json_schema(name)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_shipped_tables_name_and_fit_the_schema(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=schema/table.schema.json\n")
    assert faults("table", read_document(path).data) == []


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_shipped_profiles_name_and_fit_the_schema(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith(
        "# yaml-language-server: $schema=../schema/profile.schema.json\n"
    )
    assert faults("profile", read_document(path).data) == []


@pytest.mark.parametrize("profile", [path.stem for path in PROFILES])
def test_resolved_runs_fit_the_schema(profile: str) -> None:
    for run in Catalogue(SHIPPED).runs("table3", profile):
        assert faults("run", run.spec.model_dump(mode="json")) == []


@pytest.mark.parametrize(
    ("overlay", "place"),
    [
        ({"training": {"epochs": 0}}, "$.defaults.training.epochs"),
        ({"training": {"epocs": 1}}, "$.defaults.training"),
        ({"methd": {}}, "$.defaults"),
        ({"labels": {"setting": "some"}}, "$.defaults.labels.setting"),
        ({"method": {"name": "regions"}}, "$.defaults.method"),
    ],
)
def test_editors_find_faults_in_overlays(overlay: dict[str, Any], place: str) -> None:
    table = {"table": "a", "title": "A", "dataset": "B", "rows": [{"id": "r", "method": "m"}], "defaults": overlay}
    assert faults("table", table) == [place]


def test_overlays_need_nothing() -> None:
    overlay = {"method": {"contrast": {"temperature": 1.0}}, "backbone": {"pretrained": {"source": "none"}}}
    profile = {"profile": "a", "title": "A", "selection": "last", "overlays": [{"set": overlay}]}
    assert faults("profile", profile) == []
