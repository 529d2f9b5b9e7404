"""`--compat released`: what the released code does where it differs from the paper."""

from pathlib import Path

import pytest
import torch

from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.methods.region_contrast import RegionContrastTerm
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.method import RegionContrast
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.training.checkpoints import load_checkpoint
from rdc_sweeps.training.loop import train

CATALOGUE = Catalogue(Path(__file__).parents[2] / "experiments")
SMALL = [
    "dataset.size=[64, 96]",
    "dataset.train_images=8",
    "dataset.validation_images=0",
    "dataset.test_images=4",
    "training.batch_size=2",
    "training.epochs=1",
    "method.mapping.channels=[8, 8]",
]


def released(*settings: str) -> RunSpec:
    rows = ["one-region-gaussian"]
    (run,) = CATALOGUE.runs("table3", "demo", rows=rows, settings=[*SMALL, *settings], compat="released")
    return run.spec


def after_three_steps(spec: RunSpec, settings: Settings, folder: Path) -> dict[str, torch.Tensor]:
    build_missing_regions([spec], settings, lambda *_: None)
    steps = iter(range(100))
    train(spec, settings, folder / "last.pt", stop=lambda: next(steps) == 3)
    state = load_checkpoint(folder / "last.pt", run_id(spec))
    assert state is not None
    learner: dict[str, torch.Tensor] = state["learner"]
    return learner


def test_its_contrast_leaves_the_parameters_untouched(settings: Settings, tmp_path: Path) -> None:
    # Without the ramp, whose first epoch would be without weight anyway.
    full = ["method.ramp_epochs=0"]
    with_term = after_three_steps(released(*full), settings, tmp_path / "with")
    without = after_three_steps(released(*full, "method.weight=0"), settings, tmp_path / "without")
    mended = after_three_steps(
        released(*full, "method.contrast.name=gaussian", "method.gradient=true"), settings, tmp_path / "mended"
    )
    # BatchNorm's running statistics and the bank of regions follow the data, not the loss.
    parameters = [name for name in with_term if not any(part in name for part in ("running", "batches", ".bank."))]
    assert all(torch.equal(with_term[name], without[name]) for name in parameters)
    assert not all(torch.equal(with_term[name], mended[name]) for name in parameters)


def test_its_weight_follows_whole_epochs() -> None:
    method = released().method
    assert isinstance(method, RegionContrast)
    built = RegionContrastTerm(method, ("semantic", "depth", "normal"), 13)
    for epoch in range(20):
        expected = 2.0 * min(0.075 * epoch / 20, 0.075)
        assert built.weight(epoch) == pytest.approx(expected)
        assert built.weight(epoch + 0.9) == pytest.approx(expected)
    assert built.weight(19) == pytest.approx(0.1425)


def test_each_difference_is_a_field_and_its_selection_is_on_test() -> None:
    method = released().method
    assert isinstance(method, RegionContrast)
    assert (method.gradient, method.contrast.temperature) == (False, 5.4)
    assert method.contrast.model_dump() == {"name": "released", "temperature": 5.4, "bank": 1000}
    (vector,) = CATALOGUE.runs("table3", "paper", rows=["one-patch-vector"], compat="released")
    assert vector.spec.model_dump()["method"]["contrast"]["negative_count"] == 2
    assert released().training.augmentation.views == 2
    (run,) = CATALOGUE.runs("table3", "paper", rows=["one-patch-pixel"], compat="released")
    assert run.profile.selection == "best-test"
    assert run.changes == ("--compat released",)
    (street,) = CATALOGUE.runs("table2", "paper", rows=["hrnet-ours"], compat="released")
    assert street.spec.dataset.model_dump()["disparity_by_zoom"] == "divided"
