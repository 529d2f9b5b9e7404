"""The shipped tables against the paper's rows."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rdc_sweeps.specs.catalogue import Catalogue, Run
from rdc_sweeps.specs.fields import at_path
from rdc_sweeps.specs.method import RegionContrast

SHIPPED = Path(__file__).parents[2] / "experiments"
CATALOGUE = Catalogue(SHIPPED)
PAPER = [table for table in CATALOGUE.tables if CATALOGUE.table(table).paper]

# The paper's facts in the words of its tables on the left, ours on the right.
LABELS = {"full": "full", "one label": "onelabel", "random label": "randomlabels"}
DISTANCES = {"cosine": "cosine", "dot product": "dot", "wasserstein-2 squared": "wasserstein", "KL divergence": "kl"}
BACKBONES = {"HRNet18": "hrnet18", "SegNet": "segnet", "ViT-Large": "taskexpert"}
DATASETS = {"NYU-V2": ("nyuv2", 795, 20), "Cityscapes": ("cityscapes", 2975, 100)}
REGIONS = {"SAM": "sam", "semantic segmentation labels": "semantic"}
METHODS = {
    "Li et al. [25]": "cross_task",
    "DejaVu [1]": "combined",
    "TaskExpert [44]": "supervised",
    "MTL": "supervised",
}


@pytest.fixture(scope="module")
def facts() -> list[dict[str, Any]]:
    if "RDC_SHARED" not in os.environ:
        pytest.skip("RDC_SHARED does not name the folder with the paper's rows")
    rows: list[dict[str, Any]] = json.loads(
        (Path(os.environ["RDC_SHARED"]) / "paper" / "rows.json").read_text(encoding="utf-8")
    )
    return rows


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """Every row under the published protocol, by the paper's name of it."""
    return {
        f"T{table.removeprefix('table')}-{run.row.id}": run for table in PAPER for run in CATALOGUE.runs(table, "paper")
    }


@pytest.mark.parametrize("table", CATALOGUE.tables)
@pytest.mark.parametrize("profile", CATALOGUE.profiles)
@pytest.mark.parametrize("compat", [None, "released"])
def test_every_table_is_valid_under_every_profile(table: str, profile: str, compat: str | None) -> None:
    found = CATALOGUE.runs(table, profile, compat=compat)
    assert [run.row.id for run in found] == [row.id for row in CATALOGUE.table(table).rows]


@pytest.mark.parametrize("profile", CATALOGUE.profiles)
def test_there_are_47_rows_and_41_trainings(profile: str) -> None:
    assert [f"table{number}" for number in range(1, 7)] == PAPER
    ids = [run.id for table in PAPER for run in CATALOGUE.runs(table, profile)]
    assert (len(ids), len(set(ids))) == (47, 41)


def test_only_the_papers_profile_is_comparable() -> None:
    assert [name for name in CATALOGUE.profiles if CATALOGUE.profile(name).comparable] == ["paper"]


def test_the_tables_have_the_papers_rows_numbers_and_marks(facts: list[dict[str, Any]], runs: dict[str, Run]) -> None:
    assert list(runs) == [fact["id"] for fact in facts]
    for fact in facts:
        run = runs[fact["id"]]
        row = run.row
        assert run.table.dataset == fact["dataset"]
        assert row.method == fact["method"]
        assert row.published.model_dump() == fact["published"]
        improvement = row.published_improvement and row.published_improvement.model_dump()
        assert improvement == fact["published_improvement_percent"]
        assert (row.sota, row.bold) == (fact["marked_sota"], fact["bold"])
        # The paper's own notes stay; a row without one may have ours.
        assert fact["notes"] in (None, row.notes)
        if fact["improvement_baseline"]:
            assert row.baseline == fact["improvement_baseline"].split("-", 1)[1]


def test_the_same_training_in_two_tables_is_one_run(facts: list[dict[str, Any]], runs: dict[str, Run]) -> None:
    repeats = {fact["id"]: fact["same_run_as"] for fact in facts if fact["same_run_as"]}
    assert len(repeats) == 6
    for one, other in repeats.items():
        assert runs[one].id == runs[other].id


def test_the_specs_are_the_papers_settings(facts: list[dict[str, Any]], runs: dict[str, Run]) -> None:
    for fact in facts:
        spec = runs[fact["id"]].spec
        dataset, images, epochs = DATASETS[fact["dataset"]]
        assert spec.labels.setting == LABELS[fact["label_setting"]]
        assert spec.labels.origin == "published"
        assert (spec.dataset.name, spec.dataset.training_count) == (dataset, images)
        assert list(spec.dataset.size) == fact["input_size"]
        assert len(spec.dataset.classes) == fact["num_classes"]
        assert spec.backbone.name == BACKBONES[fact["backbone"]]
        if fact["backbone"] == "HRNet18":
            assert (spec.training.epochs, spec.training.batch_size) == (epochs, 10)
        method = spec.method
        if fact["contrast"] == "none":
            assert method.name == METHODS[fact["method"]]
            continue
        assert isinstance(method, RegionContrast)
        assert method.extraction.name == fact["extraction"]
        assert method.contrast.name == fact["contrast"]
        assert method.contrast.model_dump()["distance"] == DISTANCES[fact["distance"]]
        assert method.weight == 1.0
        if method.extraction.name == "region":
            assert method.extraction.regions.source == REGIONS[fact["regions"]]


def test_rows_of_other_works_train_as_in_their_code(runs: dict[str, Run]) -> None:
    def rows_of(backbone: str, dataset: str) -> list[Run]:
        return [run for run in runs.values() if (run.spec.backbone.name, run.spec.dataset.name) == (backbone, dataset)]

    def value(path: str, rows: list[Run]) -> Any:
        first, *others = (at_path(run.spec.model_dump(mode="json"), path) for run in rows)
        assert all(other == first for other in others)
        return first

    # Li et al.'s nyu_mtl_xtc.py and cityscapes_mtl_xtc.py.
    for dataset, batch_size, last_batch, film, again in (
        ("nyuv2", 2, "dropped", 1e-3, False),
        ("cityscapes", 8, "kept", 1e-5, True),
    ):
        segnet = rows_of("segnet", dataset)
        assert value("training.epochs", segnet) == 200
        assert value("training.batch_size", segnet) == batch_size
        assert value("training.last_batch", segnet) == last_batch
        halving = {"name": "step", "factor": 0.5}
        assert value("training.network", segnet) == {"learning_rate": 1e-4, "schedule": {**halving, "period": 100}}
        assert value("training.film", segnet) == {"learning_rate": film, "schedule": {**halving, "period": 30}}
        assert value("training.augmentation.flip", segnet) == again
        assert value("training.augmentation.flip_again", segnet) == again
    # Public code of InvPT and TaskPrompter.
    taskexpert = rows_of("taskexpert", "nyuv2")
    assert {run.spec.length.steps for run in taskexpert} == {40_000}
    assert value("training.batch_size", taskexpert) == 2
    rate = {"learning_rate": 2e-5, "schedule": {"name": "polynomial", "power": 0.9}}
    assert value("training.network", taskexpert) == rate
    assert (value("training.weight_decay", taskexpert), value("training.clip_norm", taskexpert)) == (1e-6, 10)
    weights = {"name": "fixed", "semantic": 1, "depth": 1, "normal": 10}
    assert value("training.task_weights", taskexpert) == weights


def test_generated_labels_keep_the_setting() -> None:
    settings = ["labels.origin=generated"]
    for row in ("one-region-gaussian", "rand-region-gaussian"):
        (run,) = CATALOGUE.runs("table3", "paper", rows=[row])
        (other,) = CATALOGUE.runs("table3", "paper", rows=[row], settings=settings)
        assert other.spec.labels == run.spec.labels.model_copy(update={"origin": "generated"})


def test_profile_demo_shows_published_data_in_few_images_and_leaves_tables_of_rooms_theirs() -> None:
    def sizes(table: str) -> set[tuple[int | None, int]]:
        found = (run.spec for run in CATALOGUE.runs(table, "demo"))
        return {(spec.dataset.train_images, spec.training.batch_size) for spec in found}

    assert sizes("table3") == sizes("table2") == {(64, 4)}
    assert sizes("findings-rooms") == {(320, 8)}
