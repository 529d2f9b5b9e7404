"""Trainings on a GPU, or as on one: what the CPU learns, without waiting in a step, and exact resumes."""

import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from rdc_sweeps.data.loading import TrainingBatches
from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.settings import Settings
from rdc_sweeps.training.optimizer import build_optimizer, clip_gradients
from rdc_sweeps.training.setup import build_learner, open_data, region_reader
from tests.devices import CUDA, TWO_GPUS, as_on_a_gpu, without_waiting

from . import test_loop, test_shares
from .small import small_run
from .test_loop import assert_same, check_resume
from .test_shares import BACKBONES, check

IMAGES = {"method": {"contrast": {"name": "gaussian", "negatives": "images"}, "pairs": "mean"}}
LOSSES: dict[str, dict[str, Any]] = {
    "sum of pairs": {"method": {"pairs": "sum"}},
    "negatives of other images": IMAGES,
    "learned weights": {"method": {"name": "supervised"}, "training": {"task_weights": {"name": "uncertainty"}}},
}
STEPS: dict[str, dict[str, Any]] = {
    **test_shares.METHODS,
    **{name: {**test_shares.TINY, **test_shares.SEGNET, **changes} for name, changes in LOSSES.items()},
    **{f"{name} in half precision": {"backbone": network, "training": {"precision": "bfloat16"}}
       for name, network in BACKBONES.items()},
}  # fmt: skip

WAIT = {"released contrast", "teacher"}
"""The bank of the one has as many rows as there are regions; the other asks a buffer which network is trained."""

QUICK = {"supervised", "sampled pixels", "negatives of other images", "cross-task"}


def cases(device: str, *, quick: Collection[str], slow: Collection[str] = ()) -> Iterator[Any]:
    """Every step on a GPU, and some of them on its stand-in."""
    for name, changes in STEPS.items():
        yield pytest.param(name, changes, "cuda", id=f"{name} on cuda", marks=CUDA.marks)
        if name in quick or name in slow:
            marks = [] if name in quick else [pytest.mark.slow]
            yield pytest.param(name, changes, device, id=f"{name} on {device}", marks=marks)


@pytest.mark.parametrize(("name", "changes", "device"), cases("meta", quick=QUICK, slow=STEPS))
def test_a_step_waits_for_the_device_nowhere(
    name: str, changes: dict[str, Any], device: str, settings: Settings
) -> None:
    if name in WAIT:
        pytest.skip("waits, as the documentation says")
    spec = small_run(changes)
    build_missing_regions([spec], settings, lambda *_: None)
    data = open_data(spec, settings)
    regions = region_reader(spec, data, settings)
    batches = TrainingBatches(data.splits.train, data.train_mask, regions=regions, spec=spec.training, seed=0)
    learner = build_learner(spec, settings).train().to(device)
    optimizer = build_optimizer(learner, spec.training)

    def step(batch: Any) -> None:
        half = spec.training.precision == "bfloat16" and device == "cuda"
        with torch.autocast("cuda", torch.bfloat16, enabled=half):
            losses = learner(batch.to(device), 1.5)
        optimizer.zero_grad()
        losses.total.backward()
        clip_gradients(learner, 1.0)
        optimizer.step()

    first, second = list(batches.epoch(0))[:2]
    if device == "cuda":
        step(first)  # makes handles of libraries and the optimiser's moments
    with without_waiting(device):
        step(second)


@pytest.mark.parametrize(
    ("name", "changes", "device"), cases("cpu", quick=["negatives of other images"], slow=["gaussian", "sum of pairs"])
)
def test_a_device_learns_what_the_cpu_learns(
    name: str, changes: dict[str, Any], device: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two steps in double precision, which leaves rounding errors out."""
    if "half precision" in name:
        changes = {"backbone": changes["backbone"]}
    check(small_run(changes), settings, 1, device=device, before=lambda: as_on_a_gpu(monkeypatch))


@pytest.mark.parametrize("device", [TWO_GPUS])
@pytest.mark.parametrize("changes", STEPS.values(), ids=STEPS.keys())
def test_two_gpus_learn_what_the_cpu_learns(changes: dict[str, Any], device: str, settings: Settings) -> None:
    changes = {name: value for name, value in changes.items() if name != "training"}
    check(small_run(changes), settings, 2, device=device)


@contextmanager
def deterministic() -> Iterator[list[str]]:
    """Deterministic kernels where torch has them; the list gets the names of operations that have none."""
    operations: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield operations
        finally:
            torch.use_deterministic_algorithms(False)
            found = (
                re.match(r"(\S+) does not have a deterministic implementation", str(one.message)) for one in caught
            )
            operations += sorted({one[1] for one in found if one})


@pytest.mark.parametrize(
    ("name", "device"),
    [
        pytest.param("released contrast", "cpu", marks=pytest.mark.slow),
        *(pytest.param(name, "cuda", marks=CUDA.marks) for name in test_loop.METHODS),
    ],
)
def test_a_resume_is_exact_with_deterministic_kernels(
    name: str, device: str, settings: Settings, tmp_path: Path
) -> None:
    with deterministic() as varying:
        try:
            check_resume(test_loop.METHODS[name], settings.model_copy(update={"device": device}), tmp_path)
        except AssertionError:
            difference = True
        else:
            difference = False
    if difference and varying:
        pytest.xfail(f"torch has no deterministic kernels for {', '.join(varying)}")
    assert not difference


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_a_resume_begins_with_the_bits_that_were_saved(device: str, settings: Settings, tmp_path: Path) -> None:
    """With any kernels: a training that is resumed and stopped before a step saves what it has read."""
    spec = small_run(test_loop.SEGNET)
    here = settings.model_copy(update={"device": device})
    _, saved = test_loop.run(spec, here, tmp_path, stop_after=3)
    _, again = test_loop.run(spec, here, tmp_path, stop_after=0)
    assert saved["step"] > 0
    for part in ("epoch", "step", "learner", "optimizer", "sums"):
        assert_same(saved[part], again[part])
