"""Streets: two tasks, no normals, disparity for depth."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.document import Document, overlay
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.training.loop import Training, train
from tests.data.street_images import write_streets

from .small import SMALL

STREETS: dict[str, Any] = {
    "dataset": {
        "name": "streets",
        "size": [64, 96],
        "train_images": 8,
        "validation_images": 4,
        "test_images": 4,
    },
    "training": {"epochs": 1, "augmentation": {"flip": True}},
}
METHODS: dict[str, dict[str, Any]] = {
    "supervised": {"method": {"name": "supervised"}},
    "gaussian on regions": {},
    "vector on patches": {"method": {"contrast": {"name": "vector"}, "extraction": {"name": "patch"}}},
}
CASES = [(method, "onelabel") for method in METHODS] + [
    ("gaussian on regions", "randomlabels"),
    ("gaussian on regions", "full"),
]


def run(spec: RunSpec, settings: Settings, folder: Path) -> Training:
    build_missing_regions([spec], settings, lambda *_: None)
    return train(spec, settings, folder / "last.pt", [], lambda: False)


def spec_of(*changes: dict[str, Any]) -> RunSpec:
    document = Document(SMALL)
    for change in (STREETS, *changes):
        document = overlay(document, Document(change))
    return RunSpec.model_validate(document.data)


@pytest.mark.parametrize(("method", "setting"), CASES)
def test_streets_train(method: str, setting: str, settings: Settings, tmp_path: Path) -> None:
    spec = spec_of(METHODS[method], {"labels": {"setting": setting}})
    training = run(spec, settings, tmp_path)
    record = training.history[-1]
    assert set(record.test) == {"mIoU", "pixAcc", "aErr", "aErr_released", "rErr"}
    assert all(value is not None and np.isfinite(value) for value in record.test.values())
    assert {"loss", "loss/semantic", "loss/depth"} <= set(record.losses)
    if spec.method.name == "region_contrast":
        assert record.losses["loss/contrast"] > 0


def test_the_released_disparity_is_another_training(settings: Settings, tmp_path: Path) -> None:
    specs = [
        spec_of(METHODS["supervised"], {"dataset": {"disparity_by_zoom": by_zoom}})
        for by_zoom in ("multiplied", "divided")
    ]
    assert run_id(specs[0]) != run_id(specs[1])
    ours, released = (run(spec, settings, tmp_path / run_id(spec)) for spec in specs)
    assert ours.history[0].losses["loss/depth"] != released.history[0].losses["loss/depth"]


@pytest.mark.skipif("RDC_SHARED" not in os.environ, reason="needs RDC_SHARED")
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_one_label_training_on_real_street_images(method: dict[str, Any], settings: Settings, tmp_path: Path) -> None:
    street = Path(os.environ["RDC_SHARED"]) / "data/street"
    write_streets(street, tmp_path / "cityscapes", tmp_path / "labels", train=6, test=3)
    found = settings.model_copy(
        update={"cityscapes_root": tmp_path / "cityscapes", "label_settings_root": tmp_path / "labels"}
    )
    dataset = {"name": "cityscapes", "size": [64, 128], "validation_images": 2}
    spec = spec_of(method, {"dataset": dataset, "labels": {"setting": "onelabel", "origin": "published"}})
    training = run(spec, found, tmp_path)
    losses, test = training.history[-1].losses, training.history[-1].test
    assert losses["loss/semantic"] > 0
    assert losses["loss/depth"] > 0
    assert test["mIoU"] is not None
    assert test["aErr"] is not None
