"""Steps of several processes are those of one: in double precision, where rounding hides nothing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.fidelity.examples import in_double
from rdc_sweeps.data.loading import TrainingBatches
from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.parallel.batch_norm import share_batch_norms
from rdc_sweeps.parallel.world import world
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.setup import build_learner, open_data, region_reader
from tests.parallel.processes import in_group

from .small import small_run

STREETS: dict[str, Any] = {
    "name": "streets", "size": [32, 64], "train_images": 8, "validation_images": 4, "test_images": 4
}  # fmt: skip
TINY: dict[str, Any] = {"dataset": {"size": [32, 64]}}
"""Double precision is slow."""

DIFFUSION: dict[str, Any] = {
    "name": "diffusion",
    "encoder": {"name": "efficientnet_lite0", "pretrained": {"source": "none"}},
    "denoise": "prediction",
    "width": 8,
    "stride": 4,
}
SEGNET: dict[str, Any] = {"backbone": {"name": "segnet", "width": 2}}
"""The smallest network: what differs between the methods is not its size."""

STREETS_RUN: dict[str, Any] = {"dataset": STREETS, **SEGNET, "seed": 3}
"""With this seed no depth map has its largest value twice. Methods divide depth by it, and where several pixels have
it, rounding decides which of them its gradient reaches."""

METHODS: dict[str, dict[str, Any]] = {
    "supervised": {**TINY, "method": {"name": "supervised"}},
    "gaussian": TINY,
    "drawn negatives": {**TINY, **SEGNET, "method": {"contrast": {"name": "gaussian", "negative_count": 3}}},
    "earlier images": {
        **TINY,
        **SEGNET,
        "method": {"contrast": {"name": "vector", "negatives": "images", "earlier_images": 3}},
    },
    "sampled pixels": {**TINY, **SEGNET, "method": {"contrast": {"name": "pixel", "pixels_per_region": 4}}},
    "maps normalised singly": {**TINY, **SEGNET, "method": {"mapping": {"norm": "single"}}},
    "maps normalised in one pool": {**TINY, **SEGNET, "method": {"mapping": {"norm": "pooled"}}},
    "released contrast": {
        **TINY,
        **SEGNET,
        "method": {"contrast": {"name": "released", "bank": 30}, "gradient": False},
    },
    "without gradient": {**TINY, **SEGNET, "method": {"gradient": False}},
    "cross-task": {**STREETS_RUN, "method": {"name": "cross_task", "mapping": {"channels": [8, 8]}}},
    "dejavu": {**STREETS_RUN, "method": {"name": "dejavu", "channels": 4, "cyclic_weight": 0.5}},
    "diffusion": {"dataset": STREETS, "backbone": DIFFUSION, "method": {"name": "supervised"}},
    "single task": {**STREETS_RUN, "method": {"name": "single_task"}},
    "joint task": {**STREETS_RUN, "method": {"name": "joint_task", "width": 2}},
    "teacher": {**STREETS_RUN, "method": {"name": "teacher", "teacher_epochs": 1}},
    "combined": {
        **STREETS_RUN,
        "method": {
            "name": "combined",
            "cross_task": {"mapping": {"channels": [8, 8]}},
            "dejavu": {"channels": 4},
            "region_contrast": {"extraction": {"name": "patch", "size": 4}, "mapping": {"channels": [8, 8]}},
        },
    },
}


BACKBONES: dict[str, dict[str, Any]] = {
    "efficientnet_lite0": {"name": "efficientnet_lite0", "pretrained": {"source": "none"}},
    "hrnet18": {"name": "hrnet18", "pretrained": {"source": "none"}},
    "taskexpert": {"name": "taskexpert", "pretrained": {"source": "none"}, "vit": "tiny", "width": 16, "experts": 2},
    "diffusion": {**DIFFUSION, "denoise": "feature"},
}


def trained(spec: RunSpec, settings: Settings, unlabelled: list[int], device: str = "cpu") -> dict[str, Any]:
    """An epoch of plain gradient descent in this process's world."""
    torch.set_num_threads(1)
    data = open_data(spec, settings)
    mask = data.train_mask.copy()
    mask[unlabelled] = False
    batches = TrainingBatches(
        data.splits.train,
        mask,
        regions=region_reader(spec, data, settings),
        spec=spec.training,
        seed=spec.seed,
        rank=world().rank,
        world=world().size,
    )
    learner = build_learner(spec, settings).double().train().to(device)
    for module in learner.modules():
        if isinstance(module, torch.nn.Conv2d):
            # One-hot labels are made in single precision.
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
    share_batch_norms(learner, world())
    parameters = list(learner.parameters())
    optimizer = torch.optim.SGD(parameters, lr=1e-3)
    indices, reported = [], []
    for batch in batches.epoch(0):
        losses = learner(in_double(batch).to(device), 0.5)
        optimizer.zero_grad()
        (losses.total * batch.fraction).backward()
        world().sum_gradients(parameters)
        optimizer.step()
        means = world().mean({"loss": losses.total, **losses.reported}, losses.counts, len(batch))
        indices.append(batch.indices.tolist())
        reported.append({name: value.item() for name, value in means.items()})
    missing = [name for name, parameter in learner.named_parameters() if parameter.grad is None]
    return {"indices": indices, "reported": reported, "state": learner.cpu().state_dict(), "missing": missing}


def check(
    spec: RunSpec,
    settings: Settings,
    size: int,
    unlabelled: list[int] | None = None,
    device: str = "cpu",
    before: Callable[[], None] = lambda: None,
) -> None:
    """Compare `size` processes on a device with one on the CPU; `before` is called between these."""
    build_missing_regions([spec], settings, lambda *_: None)
    alone = trained(spec, settings, unlabelled or [])
    before()
    arguments = (spec, settings, unlabelled or [], device)
    shares = [trained(*arguments)] if size == 1 else in_group(size, trained, *arguments, on_gpus=device == "cuda")
    assert [
        [index for share in shares for index in share["indices"][step]] for step in range(len(alone["indices"]))
    ] == alone["indices"]
    for share in shares:
        assert share["missing"] == alone["missing"]
        for one, other in zip(share["reported"], alone["reported"], strict=True):
            assert one == pytest.approx(other, rel=1e-5, nan_ok=True)
        assert share["state"].keys() == alone["state"].keys()
        for name, value in alone["state"].items():
            torch.testing.assert_close(share["state"][name], value, rtol=1e-5, atol=1e-6, msg=name)


SLOW = {
    "drawn negatives", "maps normalised in one pool", "without gradient", "single task", "combined", "dejavu",
    "joint task", "teacher", "diffusion", "maps normalised singly",
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(changes, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, changes in METHODS.items()
    ],
)
def test_two_processes_learn_what_one_learns(changes: dict[str, Any], settings: Settings) -> None:
    check(small_run(changes), settings, 2)


def test_shares_may_be_unequal(settings: Settings) -> None:
    check(small_run({**TINY, "labels": {"setting": "randomlabels"}}), settings, 3)


def test_processes_share_a_smaller_last_batch(settings: Settings) -> None:
    check(small_run({**TINY, "training": {"batch_size": 5, "last_batch": "kept"}}), settings, 2)


@pytest.mark.parametrize(
    "method",
    ["gaussian", "released contrast", "maps normalised singly", pytest.param("cross-task", marks=pytest.mark.slow)],
)
def test_a_process_may_have_nothing_to_contrast(method: str, settings: Settings) -> None:
    spec = small_run(METHODS[method])
    data = open_data(spec, settings)
    options: dict[str, Any] = {"seed": spec.seed, "rank": 1, "world": 2}
    shares = TrainingBatches(data.splits.train, data.train_mask, None, spec.training, **options)
    second = next(iter(shares.epoch(0))).indices.tolist()
    check(spec, settings, 2, unlabelled=second)


@pytest.mark.slow
def test_no_process_may_have_anything_to_contrast(settings: Settings) -> None:
    spec = small_run(TINY)
    check(spec, settings, 2, unlabelled=np.arange(8).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_learns_the_same(backbone: str, settings: Settings) -> None:
    check(small_run({"backbone": BACKBONES[backbone]}), settings, 2)
