import json
import os
from pathlib import Path
from typing import Any

import pytest

from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.method import RegionContrast
from rdc_sweeps.specs.run import RunSpec

SHIPPED = Path(__file__).parents[2] / "experiments"
CATALOGUE = Catalogue(SHIPPED)

# The paper's facts in the words of its table on the left, ours on the right.
LABELS = {"full": "full", "one label": "onelabel", "random label": "randomlabels"}
DISTANCES = {"cosine": "cosine", "dot product": "dot", "wasserstein-2 squared": "wasserstein", "KL divergence": "kl"}
BACKBONES = {"HRNet18": "hrnet18"}
REGIONS = {"SAM": "sam"}


def published(table: int) -> list[dict[str, Any]]:
    if "RDC_SHARED" not in os.environ:
        pytest.skip("RDC_SHARED does not name the folder with the paper's rows")
    rows = json.loads((Path(os.environ["RDC_SHARED"]) / "paper" / "rows.json").read_text(encoding="utf-8"))
    return [row for row in rows if row["table"] == table]


@pytest.mark.parametrize("table", CATALOGUE.tables)
@pytest.mark.parametrize("profile", CATALOGUE.profiles)
def test_every_table_is_valid_under_every_profile(table: str, profile: str) -> None:
    runs = CATALOGUE.runs(table, profile)
    assert [run.row.id for run in runs] == [row.id for row in CATALOGUE.table(table).rows]


def test_only_the_papers_profile_is_comparable() -> None:
    assert [name for name in CATALOGUE.profiles if CATALOGUE.profile(name).comparable] == ["paper"]


def test_table3_has_the_papers_numbers() -> None:
    rows = CATALOGUE.table("table3").rows
    wanted = published(3)
    assert len(rows) == len(wanted) == 12
    for row, fact in zip(rows, wanted, strict=True):
        assert row.id == fact["id"].removeprefix("T3-")
        assert row.published.model_dump() == fact["published"]
        assert row.published_improvement is None
        assert fact["published_improvement_percent"] is None


def test_table3_has_the_papers_settings() -> None:
    for run, fact in zip(CATALOGUE.runs("table3", "paper"), published(3), strict=True):
        spec, method = run.spec, run.spec.method
        assert isinstance(method, RegionContrast)
        assert spec.labels.setting == LABELS[fact["label_setting"]]
        assert spec.labels.source == "published"
        assert spec.dataset.name == "nyuv2"
        assert list(spec.dataset.size) == fact["input_size"]
        assert len(spec.dataset.classes) == fact["num_classes"]
        assert spec.dataset.training_count == 795
        assert spec.dataset.test_count == 654
        assert spec.backbone.name == BACKBONES[fact["backbone"]]
        assert method.extraction.name == fact["extraction"]
        assert method.contrast.name == fact["contrast"]
        assert method.contrast.distance == DISTANCES[fact["distance"]]
        if method.extraction.name == "region":
            assert method.extraction.regions.source == REGIONS[fact["regions"]]
        assert spec.training.epochs == 20


@pytest.mark.parametrize(("profile", "dataset"), [("demo", "rooms"), ("cpu", "nyuv2")])
def test_small_profiles_need_neither_sam_nor_a_large_image(profile: str, dataset: str) -> None:
    for run in CATALOGUE.runs("table3", profile):
        assert run.spec.dataset.name == dataset
        assert run.spec.dataset.size == (96, 128)
        assert run.spec.dataset.validation_images > 0  # their rule is best-validation
        assert "'sam'" not in str(run.spec.model_dump())


def test_twelve_rows_are_twelve_trainings() -> None:
    for profile in CATALOGUE.profiles:
        assert len({run.id for run in CATALOGUE.runs("table3", profile)}) == 12


def test_a_runs_file_resolves_to_itself() -> None:
    for run in CATALOGUE.runs("table3", "cpu"):
        assert RunSpec.model_validate(run.spec.model_dump(mode="json")) == run.spec
