"""What a spec allows, trains: random valid specs build their learner and take a step, at the smallest sizes."""

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.errors import DivergenceError, SpecError
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.document import Document, assignment, overlay
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.validation import build
from rdc_sweeps.training.loop import train
from tests.specs.drawing import drawn_spec

CONTRAST = Document({"method": {"name": "region_contrast", "contrast": {"name": "gaussian"}}})


def small_spec(seed: int) -> RunSpec:
    """A random valid spec with small networks and images, whose inputs need no files."""
    dice = random.Random(seed)
    while True:
        data = drawn_spec(RunSpec, dice)
        data["dataset"] = {
            "name": dice.choice(["rooms", "streets"]), "size": dice.choice([[32, 32], [32, 64], [64, 64]]),
            "train_images": dice.choice([1, 2, 3]), "validation_images": dice.choice([0, 1]), "test_images": 1,
        }  # fmt: skip
        data["backbone"] = _small_backbone(data.get("backbone", {"name": "segnet"}))
        data["labels"] = {**data.get("labels", {}), "origin": "generated"}
        _without_files(data.setdefault("method", {"name": "region_contrast"}))
        training = data.setdefault("training", {})
        training.update({"epochs": None, "iterations": 2} if dice.random() < 0.5 else {"epochs": 1, "iterations": None})
        # Adam's steps are as large as its rate; those that diverge are no spec's fault.
        training["network"] = {**training.get("network", {}), "learning_rate": dice.choice([1e-300, 1e-4])}
        try:
            return RunSpec.model_validate(data)
        except ValidationError:
            continue


def _small_backbone(backbone: dict[str, Any]) -> dict[str, Any]:
    if backbone["name"] == "diffusion":
        encoder = _small_backbone(backbone.get("encoder", {"name": "resnet18"}))
        return {**backbone, "encoder": encoder, "width": 4, "steps": 1}
    small: dict[str, dict[str, Any]] = {"segnet": {"width": 2}, "taskexpert": {"vit": "tiny", "width": 4, "experts": 1}}
    return {**backbone, "pretrained": {"source": "none"}, **small.get(backbone["name"], {})}


def _without_files(fields: dict[str, Any]) -> None:
    """Replace region maps of SAM, which needs weights, and wide layers by small ones."""
    if fields.get("name") == "region_contrast" and fields.get("extraction", {"name": "region"})["name"] == "region":
        extraction = fields.setdefault("extraction", {"name": "region"})
        if extraction.get("regions", {"source": "sam"})["source"] == "sam":
            extraction["regions"] = {"source": "superpixel", "segments": 8}
    for value in fields.values():
        if isinstance(value, dict):
            _without_files(value)


@pytest.mark.parametrize(
    "seeds", [range(1), *(pytest.param(range(n, n + 5), marks=pytest.mark.slow) for n in range(1, 21, 5))], ids=str
)
def test_what_a_spec_allows_trains(seeds: range, settings: Settings, tmp_path: Path) -> None:
    for seed in seeds:
        spec = small_spec(seed)
        build_missing_regions([spec], settings, lambda *done: None)
        steps = itertools.count()
        try:
            train(spec, settings, tmp_path / f"{seed}.pt", stop=lambda steps=steps: next(steps) == 1)  # type: ignore[misc]
        except DivergenceError:
            continue  # an error of ours, which names the values
        except Exception as error:
            raise AssertionError(f"seed {seed}: {spec.model_dump_json()}") from error


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("training.augmentation.scales=[0]", r"scales\[0\]: must be greater than or equal to 1, found 0"),
        ("training.augmentation.scales=[1, -1]", r"scales\[1\]: must be greater than or equal to 1, found -1"),
        ("training.augmentation.scales=[1e9]", r"scales\[0\]: must be less than or equal to 16"),
        ("method.mapping.channels=[0]", r"channels\[0\]: must be greater than or equal to 1, found 0"),
        ("method.mapping.channels=[8, -3]", r"channels\[1\]: must be greater than or equal to 1"),
        (f"seed={10**32 - 1}", "seed: must be less than or equal to 9223372036854775807"),
        (f"labels.seed={2**64}", "seed: must be less than or equal to 9223372036854775807"),
        ("training.network.learning_rate=1e300", "learning_rate: must be less than or equal to 1"),
        ("training.film.learning_rate=1e300", "learning_rate: must be less than or equal to 1"),
        ("method.weight=1e300", "weight: must be less than or equal to 10000"),
        ("method.contrast.temperature=1e-300", r"temperature: must be greater than or equal to 0\.000001"),
        ("training.batch_size=99999999", "batch_size: must be less than or equal to 1000000"),
        ("dataset={name: nyuv2, train_images: 796}", "more than the 795 training images of nyuv2"),
        ("dataset={name: nyuv2, validation_images: 795}", "more than the 795 training images of nyuv2"),
        ("dataset={name: cityscapes, test_images: 501}", "more than the 500 test images"),
        (
            "dataset={name: rooms, size: [32, 32], train_images: 1}",
            "training.batch_size: a batch of one image of 32x32",
        ),
        ("dataset={name: rooms, size: [16384, 32]}", "multiples of 32 up to 8192"),
    ],
)
def test_what_no_training_could_use_is_refused(change: str, problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        build(RunSpec, overlay(CONTRAST, assignment(change)))
