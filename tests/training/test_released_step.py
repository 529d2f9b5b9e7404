"""`--compat released` trains what the authors' released code trains.

Three steps of the training loop, with the spec that `--compat released --profile paper` gives, against
`benchmarks.fidelity.references.released_step`, which was written from the released code: from equal weights, the
losses, learning rates, weights, running statistics and test metrics have to be equal.

Scaled down: rooms of 64x96 for NYU-V2, superpixels for SAM, 3 images a batch, random weights. What is random in both is
given to both: the order of the images, the crops (`tests/data/test_augmentation.py` compares those of given windows),
and the Gumbel numbers of semantic predictions. mIoU is that of the classes that occur; a few images do not have all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.fidelity.examples import by_name, example, in_double
from benchmarks.fidelity.references.layers import Weights, below
from benchmarks.fidelity.references.meters import ReleasedMeters
from benchmarks.fidelity.references.released_step import ReleasedTraining
from rdc_sweeps.data.batches import Batch
from rdc_sweeps.data.loading import EvaluationBatches
from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.methods.method import Losses
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.training import loop
from rdc_sweeps.training.checkpoints import load_checkpoint
from rdc_sweeps.training.setup import Learner, build_learner, open_data

CATALOGUE = Catalogue(Path(__file__).parents[2] / "experiments")
SMALL = [
    "dataset.name=rooms",
    "dataset.size=[64, 96]",
    "dataset.train_images=3",
    "dataset.test_images=3",
    "labels.origin=generated",
    "backbone.pretrained.source=none",
    "method.extraction.regions.source=superpixel",
    "method.extraction.regions.segments=12",
    "training.batch_size=3",
]
A_THETA = "method.terms.region_contrast.mapping."
METERS = ("mIoU", "aErr_released", "mErr_released")
STEPS = 3
"""One a epoch: the learning rates and the weight of the contrast differ from step to step."""


@dataclass
class Step:
    """What a step was given, the network before and after it, and what it returned and reported."""

    batch: Batch
    epoch: float
    before: Weights
    losses: dict[str, float]
    rates: dict[str, float]
    metrics: dict[str, float | None]
    after: Weights


class Rates:
    """Observes the learning rates."""

    def __init__(self) -> None:
        self.seen: list[dict[str, float]] = []

    def started(self, *progress: Any) -> None:
        pass

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        self.seen.append({name: value for name, value in values.items() if name.startswith("learning_rate")})

    def evaluated(self, *outcome: Any) -> None:
        pass


def released(row: str) -> RunSpec:
    (run,) = CATALOGUE.runs("table3", "paper", rows=[row], settings=SMALL, compat="released")
    return run.spec


def trained(
    spec: RunSpec, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch, *, double: bool
) -> tuple[list[Step], Weights]:
    """The first steps of the training loop, and the weights of a_theta before and after them."""
    given: list[tuple[Batch, float]] = []
    states: list[Weights] = []
    returned: list[dict[str, float]] = []

    def before(learner: Learner, inputs: tuple[Batch, float]) -> None:
        given.append(inputs)
        states.append(copied(learner))

    def after(_learner: Learner, _inputs: tuple[Batch, float], losses: Losses) -> None:
        reported = {name.removeprefix("loss/"): value.item() for name, value in losses.reported.items()}
        returned.append({"total": losses.total.item(), **reported})

    def build(spec: RunSpec, settings: Settings) -> Learner:
        learner = build_learner(spec, settings)
        if double:
            learner.double()
            for module in learner.modules():
                if isinstance(module, torch.nn.Conv2d):
                    # One-hot labels are made in single precision.
                    module.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(),))
        learner.register_forward_pre_hook(before)
        learner.register_forward_hook(after)
        return learner

    build_missing_regions([spec], settings, lambda *_: None)
    monkeypatch.setattr(loop, "build_learner", build)
    if double:
        monkeypatch.setattr(Batch, "to", lambda batch, _device: in_double(batch))
    rates, count = Rates(), iter(range(STEPS + 1))
    outcome = loop.train(spec, settings, folder / "last.pt", [rates], stop=lambda: next(count) == STEPS)
    state = load_checkpoint(folder / "last.pt", run_id(spec))
    assert state is not None
    states.append(state["learner"])
    networks = [below(one, "network.") for one in states]
    steps = [
        Step(batch, epoch, networks[number], returned[number], rates.seen[number], record.test, networks[number + 1])
        for number, ((batch, epoch), record) in enumerate(zip(given, outcome.history, strict=True))
    ]
    assert len(steps) == STEPS
    a_theta = below(states[0], A_THETA)
    assert all(torch.equal(below(states[-1], A_THETA)[name], tensor) for name, tensor in a_theta.items())
    return steps, a_theta


def copied(learner: Learner) -> Weights:
    return {name: tensor.clone() for name, tensor in learner.state_dict().items()}


def images_to_test(spec: RunSpec, settings: Settings) -> tuple[Tensor, dict[str, Tensor]]:
    """The test images and their labels in one batch, in double precision."""
    batches = EvaluationBatches(open_data(spec, settings).splits.test, batch_size=100)
    (view,) = in_double(next(iter(batches))).views
    return view.image, by_name(view.labels)


@pytest.mark.parametrize("row", ["one-region-gaussian", pytest.param("rand-region-gaussian", marks=pytest.mark.slow)])
def test_three_steps_are_those_of_the_release(
    row: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = released(row)
    steps, a_theta = trained(spec, settings, tmp_path, monkeypatch, double=True)
    theirs = ReleasedTraining(steps[0].before, a_theta)
    images, labels = images_to_test(spec, settings)
    for step in steps:
        expected = theirs.step(example(step.batch), int(step.epoch))
        assert step.losses == pytest.approx({name: expected[name] for name in step.losses}, abs=1e-10)
        assert step.losses.keys() == {"total", "semantic", "depth", "normal", "contrast"}
        assert list(step.rates.values()) == pytest.approx([expected["rate"], expected["film rate"]], rel=1e-12)
        for name, tensor in theirs.network.items():
            torch.testing.assert_close(step.after[name], tensor, rtol=0, atol=1e-10, msg=name)
        meters = ReleasedMeters(13, absent=None)
        meters.update(theirs.evaluate(images), labels)
        assert [step.metrics[name] for name in METERS] == pytest.approx(list(meters.metrics().values()), rel=1e-9)
    # Weights, statistics and the contrast took part.
    moved = [name for name, tensor in steps[0].before.items() if not torch.equal(tensor, steps[-1].after[name])]
    assert len(moved) == len(steps[0].before)
    assert all(step.losses["contrast"] != 0 for step in steps)
    assert len({step.rates["learning_rate/network"] for step in steps}) == STEPS


def test_in_single_precision_each_step_is_that_of_the_release(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From equal weights before each step: Adam moves a weight whose gradient is a rounding error by up to its rate.

    So a few weights in ten thousand end apart, and after some steps everything does, as two runs of the released
    code with other kernels would.
    """
    spec = released("one-region-gaussian")
    steps, a_theta = trained(spec, settings, tmp_path, monkeypatch, double=False)
    theirs = ReleasedTraining(steps[0].before, a_theta)
    for step in steps:
        theirs.load(step.before)
        expected = theirs.step(example(step.batch), int(step.epoch))
        assert step.losses == pytest.approx({name: expected[name] for name in step.losses}, rel=1e-5)
        learned = [name for name, tensor in theirs.network.items() if tensor.requires_grad]
        for name in theirs.network.keys() - learned:
            torch.testing.assert_close(step.after[name], theirs.network[name], rtol=1e-5, atol=1e-6)
        apart = torch.cat([(theirs.network[name] - step.after[name]).detach().flatten().abs() for name in learned])
        assert apart.mean() < 1e-7
        assert (apart > 1e-5).float().mean() < 1e-3
