"""Probes of constructed terms, whose gradients and values are known."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.methods.method import Losses, Outputs, Term
from rdc_sweeps.methods.supervised import SupervisedMethod, Supervision, supervised_losses
from rdc_sweeps.models.network import Predictions
from rdc_sweeps.probing.gradients import cosine
from rdc_sweeps.probing.inputs import ProbeBatch, substitutes, towards_truth
from rdc_sweeps.probing.measure import border_distances, probe
from rdc_sweeps.probing.record import Probe
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import CrossTask, DejaVu, JointTask, MethodSpec, RegionContrast, Supervised
from rdc_sweeps.specs.training import FixedWeights
from tests.methods.toy import CLASSES, ONE_LABEL, TASKS, toy_batch, toy_method, toy_network, toy_view

Of = Callable[[Predictions, Mapping[Task, Tensor], Tensor], Tensor]

SIZE = (32, 64)
"""Large enough for the five levels of a SegNet."""


def probe_batch(granted: list[list[bool]] = ONE_LABEL) -> ProbeBatch:
    """Images with these labels, and all labels beside; withheld ones are void."""
    labels = toy_view(len(granted), size=SIZE).labels
    batch = toy_batch(granted, size=SIZE)
    mask = torch.tensor(granted)
    shown: dict[Task, Tensor] = {}
    for column, task in enumerate(TASKS):
        void = -1 if task == "semantic" else 0
        keep = mask[:, column].view(-1, *(1 for _ in labels[task].shape[1:]))
        shown[task] = torch.where(keep, labels[task], void)
    return ProbeBatch(replace(batch, views=(replace(batch.views[0], labels=shown),)), labels)


class Constructed(Term):
    """A term that is any function of predictions, all labels, and the tasks that have none."""

    def __init__(self, of: Of, batch: ProbeBatch) -> None:
        super().__init__()
        self.of, self.batch = of, batch
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, outputs: Outputs, batch: Batch, epoch: float) -> Losses:
        total = self.of(outputs.last, self.batch.labels, ~batch.granted) + self.bias
        return Losses(total, {})


def probed(of: Of) -> Probe:
    batch = probe_batch()
    method = SupervisedMethod(Supervision(TASKS, FixedWeights(), 0.5), {"constructed": Constructed(of, batch)}, "apart")
    (found,) = probe(toy_network(), method, [batch], TASKS)
    return found


def withheld_loss(predictions: Predictions, labels: Mapping[Task, Tensor], withheld: Tensor) -> Tensor:
    return torch.stack(list(supervised_losses(TASKS, predictions, labels, withheld).values())).sum()


def all_cosines(found: Probe) -> list[float]:
    return [value for of_task in found.prediction.values() for value in of_task.values()] + [
        value for values in found.parameters.values() for value in values if value is not None
    ]


def test_a_term_that_asks_for_the_truth_has_cosine_one_and_falls_on_the_way_to_it() -> None:
    found = probed(withheld_loss)
    assert {task: set(values) for task, values in found.prediction.items()} == {
        "semantic": {0},
        "depth": {1},
        "normal": {0, 1},
    }
    assert set(found.parameters) == {*TASKS, "all"}
    assert all_cosines(found) == pytest.approx([1.0] * 8, abs=1e-6)
    assert [values[0] for values in found.ratios.values()] == pytest.approx([1.0] * 4, abs=1e-6)
    path = [values[0] for values in found.path]
    assert path == sorted(path, reverse=True)
    assert path[-1] == pytest.approx(0.0, abs=1e-6)
    assert found.values["own"] == pytest.approx([path[0]])
    assert found.values["truth"] == pytest.approx([path[-1]], abs=1e-6)
    assert found.values["own"] != pytest.approx(found.values["other"])
    assert found.alignment() == pytest.approx(1.0, abs=1e-6)


def test_what_a_probe_shows_does_not_enter_the_bank_of_earlier_images() -> None:
    spec = RegionContrast.model_validate(
        {
            "mapping": {"channels": [8, 8]},
            "min_pixels": 2,
            "extraction": {"name": "patch", "size": 8},
            "contrast": {"name": "vector", "negatives": "images", "earlier_images": 20},
        }
    )
    network, method = toy_network(), toy_method(spec)
    method(network, probe_batch().shown, 1.0)
    (found,) = probe(network, method, [probe_batch(), probe_batch()], TASKS)
    assert {one.chance for one in found.regions} == {0.5}, "the one other image is that of the training step"


def test_a_hostile_term_has_cosine_minus_one_and_rises_on_the_way_to_the_truth() -> None:
    found = probed(lambda *inputs: -3 * withheld_loss(*inputs))
    assert all_cosines(found) == pytest.approx([-1.0] * 8, abs=1e-6)
    assert [values[0] for values in found.ratios.values()] == pytest.approx([3.0] * 4, abs=1e-5)
    path = [values[0] for values in found.path]
    assert path == sorted(path)


def test_a_term_that_cannot_see_the_predictions_has_cosine_zero_and_one_value() -> None:
    found = probed(lambda predictions, *_: torch.ones(()))
    assert all_cosines(found) == [0.0] * 8
    assert {value for values in found.values.values() for value in values} == {1.0}
    assert {value for values in found.path for value in values} == {1.0}


def test_a_term_of_what_has_a_label_has_cosine_zero() -> None:
    def granted_alone(predictions: Predictions, labels: Mapping[Task, Tensor], withheld: Tensor) -> Tensor:
        return withheld_loss(predictions, labels, ~withheld)

    assert all_cosines(probed(granted_alone)) == [0.0] * 8


def test_a_term_with_a_noisy_gradient_lies_between() -> None:
    def noisy(predictions: Predictions, labels: Mapping[Task, Tensor], withheld: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(predictions["normal"].shape, generator=generator)
        return withheld_loss(predictions, labels, withheld) + 1e-3 * (noise * predictions["normal"]).sum()

    found = probed(noisy)
    assert all(0.01 < value < 0.9 for value in found.prediction["normal"].values())


CONTRAST = RegionContrast.model_validate(
    {"extraction": {"name": "patch", "size": 4}, "mapping": {"channels": [8]}, "min_pixels": 2}
)


@pytest.mark.parametrize(
    ("spec", "regions"),
    [
        (CONTRAST, True),
        (CONTRAST.model_copy(update={"pairs": "sum"}), True),
        (CrossTask.model_validate({"mapping": {"channels": [8, 8]}}), False),
        (JointTask(width=2), False),
        (DejaVu(channels=4), False),
    ],
    ids=["contrast", "sum of pairs", "cross-task", "joint task", "dejavu"],
)
@pytest.mark.parametrize("granted", [ONE_LABEL, [[True] * 3, [True, False, True]]], ids=["one label", "more"])
def test_every_term_is_probed_and_left_as_it_was(spec: MethodSpec, regions: bool, granted: list[list[bool]]) -> None:
    network, method = toy_network(), toy_method(spec)
    before = [{name: value.clone() for name, value in module.state_dict().items()} for module in (network, method)]
    generator = torch.get_rng_state()
    method.eval()
    (found,) = probe(network, method, [probe_batch(granted)], TASKS)
    assert torch.equal(generator, torch.get_rng_state())
    assert network.training
    assert not method.training
    for module, state in zip((network, method), before, strict=True):
        for name, value in module.state_dict().items():
            assert torch.equal(value, state[name]), name
    assert found.term == spec.name
    assert all(len(values) == 1 for values in found.values.values())
    assert found.path[0] == found.values["own"]
    assert found.path[-1] == found.values["truth"]
    assert found.prediction
    assert bool(found.regions) is regions
    assert bool(found.accuracy) is regions
    assert Probe.model_validate_json(found.model_dump_json()) == found
    assert all(name.startswith(f"{spec.name}/") for name in found.headline())


def test_regions_are_those_of_the_contrast() -> None:
    (found,) = probe(toy_network(), toy_method(CONTRAST), [probe_batch()], TASKS)
    patches = 4 * 8  # of 4x4 pixels on a map of 16x32, in each of four pairs
    assert len(found.regions) <= 4 * patches
    assert len(found.regions) > 2 * patches
    inner = [region for region in found.regions if region.border > 0]
    assert 0 < len(inner) < len(found.regions)
    assert max(region.part for region in found.regions) == pytest.approx(1 / patches)
    mean = sum(region.hit for region in found.regions) / len(found.regions)
    assert mean > 0
    assert found.accuracy["own"] == [pytest.approx(mean, rel=1e-4)]
    # The patch itself, and all others in both own maps and one map of each other task.
    assert all(0.005 < region.chance < 0.05 for region in found.regions)
    assert any(region.cosine for region in found.regions)


def test_what_a_batch_has_nothing_of_leaves_a_gap_in_its_place() -> None:
    depth_withheld, semantic_withheld = [[True, False, True]], [[False, True, True]]
    batches = [probe_batch(granted) for granted in (depth_withheld, semantic_withheld)]
    (found,) = probe(toy_network(), toy_method(CONTRAST), batches, TASKS)
    missing = {name: [value is None for value in values] for name, values in found.parameters.items()}
    assert missing == {"depth": [False, True], "semantic": [True, False], "all": [False, False]}
    assert {name: [value is None for value in values] for name, values in found.ratios.items()} == missing
    assert Probe.model_validate_json(found.model_dump_json()) == found


def test_cosines_of_regions_are_one_where_the_gradients_are_parallel() -> None:
    class Parallel(type(toy_method(CONTRAST).terms["region_contrast"])):  # type: ignore[misc]
        def forward(self, outputs: Outputs, batch: Batch, epoch: float) -> Losses:
            loss = withheld_loss(outputs.last, labels, ~batch.granted)
            return Losses(loss, {"loss/contrast": loss.detach()})

    batch = probe_batch()
    labels = batch.labels
    method = toy_method(CONTRAST)
    method.terms["region_contrast"] = Parallel(CONTRAST, TASKS, CLASSES)
    (found,) = probe(toy_network(), method, [batch], TASKS)
    assert [region.cosine for region in found.regions] == pytest.approx([1.0] * len(found.regions), abs=1e-6)


def test_a_term_without_gradient_has_values_and_no_cosines() -> None:
    (found,) = probe(toy_network(), toy_method(CONTRAST.model_copy(update={"gradient": False})), [probe_batch()], TASKS)
    assert found.prediction == {}
    assert found.parameters == {}
    assert found.alignment() is None
    assert found.accuracy["own"]
    assert {region.cosine for region in found.regions} == {None}


def test_a_method_without_terms_is_not_probed() -> None:
    assert probe(toy_network(), toy_method(Supervised()), [probe_batch()], TASKS) == []


def test_substitutes_have_the_mean_and_deviation_of_the_predictions_or_none_of_their_content() -> None:
    batch = probe_batch([[False] * 3] * 6)
    torch.manual_seed(0)
    own: Predictions = {
        "semantic": torch.randn(6, CLASSES, *SIZE) * 3 + 1,
        "depth": torch.rand(6, 1, *SIZE) * 5,
        "normal": F.normalize(torch.randn(6, 3, *SIZE)),
    }
    found = substitutes(own, batch, TASKS)
    for task in TASKS:
        assert torch.equal(found["own"][task], own[task])
        assert torch.equal(found["other"][task][1:], own[task][:-1])
        assert found["constant"][task].std((0, 2, 3)).max() < 1e-6
        for substitute in ("constant", "noise"):
            torch.testing.assert_close(
                found[substitute][task].mean((0, 2, 3)), own[task].mean((0, 2, 3)), atol=0.1, rtol=0.05
            )
        torch.testing.assert_close(found["noise"][task].std((0, 2, 3)), own[task].std((0, 2, 3)), atol=0.0, rtol=0.05)
        assert cosine(found["noise"][task].flatten(), own[task].flatten() - own[task].mean()).abs() < 0.1
    known = batch.labels["semantic"] >= 0
    assert torch.equal(found["truth"]["semantic"].argmax(1)[known], batch.labels["semantic"][known])
    assert torch.equal(found["truth"]["depth"], batch.labels["depth"])
    assert torch.equal(found["truth"]["normal"], batch.labels["normal"])


def test_the_path_keeps_labelled_tasks_and_void_pixels() -> None:
    batch = probe_batch()
    own = {task: maps.detach() for task, maps in toy_network()(batch.shown.views[0].image).items()}
    half = towards_truth(own, batch, TASKS, 0.5)
    assert torch.equal(half["depth"][0], own["depth"][0])  # has its label
    torch.testing.assert_close(half["depth"][1], (own["depth"][1] + batch.labels["depth"][1]) / 2)
    void = batch.labels["semantic"][0] == -1
    assert void.any()
    assert torch.equal(half["semantic"][0][:, void], own["semantic"][0][:, void])
    torch.testing.assert_close(
        half["semantic"][0].softmax(0)[:, ~void].gather(0, batch.labels["semantic"][0][None, ~void]),
        0.5 + own["semantic"][0].softmax(0)[:, ~void].gather(0, batch.labels["semantic"][0][None, ~void]) / 2,
    )


def test_distances_from_the_border() -> None:
    slots = torch.full((1, 6, 10), 0)
    slots[0, 2:4, 3:6] = 1
    slots[0, 0, 0] = 2
    slots[0, 1, 1] = -1
    assert border_distances(slots, 4).tolist() == [[0.0, pytest.approx(2 / 6), 0.0, float("inf")]]
