import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

from rdc_sweeps.methods.supervised import SingleTaskNetworks, depth_loss, normal_loss, semantic_loss, supervised_losses
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import SingleTask, Supervised
from rdc_sweeps.specs.training import FixedWeights, TaskWeightsSpec, TrainingSpec, UncertaintyWeights

from .toy import ONE_LABEL, TASKS, ToyNetwork, fill_withheld_labels, outcome, toy_batch, toy_method, toy_network


def test_semantic_loss_is_cross_entropy_over_labelled_pixels() -> None:
    logits = torch.zeros(2, 4, 2, 2)
    label = torch.tensor([[[0, -1], [-1, 3]], [[-1, -1], [-1, -1]]])
    assert_close(semantic_loss(logits, label), torch.tensor([math.log(4), 0.0]))


def test_depth_loss_is_l1_over_valid_pixels() -> None:
    prediction = torch.tensor([[[[1.0, 5.0]]]])
    assert_close(depth_loss(prediction, torch.tensor([[[[3.0, 0.0]]]])), torch.tensor([2.0]))


def test_normal_loss_does_not_depend_on_length() -> None:
    label = torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)
    for length in (1e-2, 1.0, 50.0):
        prediction = length * torch.tensor([1.0, 0.0, 1.0]).view(1, 3, 1, 1)
        assert_close(normal_loss(prediction, label), torch.tensor([1 - math.sqrt(0.5)]))


def test_a_labels_length_counts_as_in_mtan() -> None:
    prediction, label = (torch.tensor(vector).view(1, 3, 1, 1) for vector in ([2.0, 0.0, 0.0], [0.5, 0.0, 0.0]))
    assert_close(normal_loss(prediction, label), torch.tensor([0.5]))


def test_losses_keep_double_precision() -> None:
    logits, depth, normal = (torch.rand(1, channels, 4, 4, dtype=torch.float64) for channels in (5, 1, 3))
    for loss in (
        semantic_loss(logits, torch.ones(1, 4, 4, dtype=torch.int64)),
        depth_loss(depth, torch.ones(1, 1, 4, 4, dtype=torch.float64)),
        normal_loss(normal, F.normalize(torch.ones(1, 3, 4, 4, dtype=torch.float64))),
    ):
        assert loss.dtype == torch.float64
    assert semantic_loss(logits.bfloat16(), torch.ones(1, 4, 4, dtype=torch.int64)).dtype == torch.float32


def test_invalid_pixels_reach_neither_loss_nor_gradient() -> None:
    prediction = torch.tensor([[[[1.0, float("inf")]]]], requires_grad=True)
    loss = depth_loss(prediction, torch.tensor([[[[2.0, 0.0]]]]))
    loss.sum().backward()
    assert loss.item() == 1.0
    assert prediction.grad is not None
    assert prediction.grad.tolist() == [[[[-1.0, 0.0]]]]


def test_a_withheld_label_counts_for_nothing_but_the_batch_size() -> None:
    predictions: dict[Task, Tensor] = {"depth": torch.ones(2, 1, 2, 2)}
    labels: dict[Task, Tensor] = {"depth": torch.full((2, 1, 2, 2), 4.0)}
    granted = torch.tensor([[True], [False]])
    assert_close(supervised_losses(("depth",), predictions, labels, granted)["depth"], torch.tensor(1.5))
    labels["depth"][1] = float("nan")
    assert_close(supervised_losses(("depth",), predictions, labels, granted)["depth"], torch.tensor(1.5))


def test_columns_follow_the_tasks_and_not_the_order_of_predictions() -> None:
    predictions: dict[Task, Tensor] = {"depth": torch.ones(1, 1, 2, 2), "normal": torch.ones(1, 3, 2, 2)}
    labels: dict[Task, Tensor] = {"depth": torch.full((1, 1, 2, 2), 4.0), "normal": -torch.ones(1, 3, 2, 2)}
    found = supervised_losses(("normal", "depth"), predictions, labels, torch.tensor([[False, True]]))
    assert {task: loss.item() for task, loss in found.items()} == {"normal": 0.0, "depth": 3.0}


def supervised(weights: TaskWeightsSpec) -> Any:
    return toy_method(Supervised(), training=TrainingSpec(task_weights=weights, stage_weight=0.25))


def test_fixed_weights_multiply_the_losses_in_the_total_alone() -> None:
    batch = toy_batch([[True, True, False], [True, True, True]])
    found = outcome(supervised(FixedWeights(semantic=0.5, normal=10)), toy_network(), batch)
    expected = 0.5 * found["loss/semantic"] + found["loss/depth"] + 10 * found["loss/normal"]
    torch.testing.assert_close(found["total"].detach(), expected)
    plain = outcome(supervised(FixedWeights()), toy_network(), batch)
    assert all(torch.equal(found[f"loss/{task}"], plain[f"loss/{task}"]) for task in TASKS)


def test_learned_weights_settle_where_each_loss_counts_alike() -> None:
    """The minimum of exp(-s) L + p s is at s = log(L / p), p the fraction of images with the label."""
    batch, network = toy_batch([[True, True, False], [True, False, False]]), toy_network()
    built = supervised(UncertaintyWeights())
    assert outcome(built, network, batch)["total"] == outcome(supervised(FixedWeights()), network, batch)["total"]
    optimizer = torch.optim.SGD(built.parameters(), 0.5)
    for _ in range(200):
        optimizer.zero_grad()
        found = outcome(built, network, batch)
        found["total"].backward()
        optimizer.step()
    assert found["weight/semantic"].item() == pytest.approx(1 / found["loss/semantic"].item(), rel=1e-3)
    assert found["weight/depth"].item() == pytest.approx(0.5 / found["loss/depth"].item(), rel=1e-3)
    assert found["weight/normal"] == 1  # no image has the label


class _Refining(ToyNetwork):
    """The toy network's predictions, and then twice these."""

    def stages(self, image: Tensor) -> list[dict[Task, Tensor]]:
        coarse: dict[Task, Tensor] = self(image)
        return [coarse, {task: 2 * maps for task, maps in coarse.items()}]


def test_all_stages_are_supervised_and_the_last_is_reported() -> None:
    torch.manual_seed(5)
    refining, batch = _Refining(), toy_batch(ONE_LABEL)
    plain = outcome(supervised(FixedWeights()), toy_network(), batch)
    found = outcome(supervised(FixedWeights()), refining, batch)
    final = supervised_losses(TASKS, refining.stages(batch.views[0].image)[-1], batch.views[0].labels, batch.granted)
    assert all(torch.equal(found[f"loss/{task}"], final[task].detach()) for task in TASKS)
    torch.testing.assert_close(found["loss/earlier_stages"], plain["total"].detach())
    torch.testing.assert_close(found["total"], 0.25 * plain["total"] + torch.stack(list(final.values())).sum())


def networks(tasks: tuple[Task, ...] = TASKS) -> SingleTaskNetworks:
    torch.manual_seed(5)
    return SingleTaskNetworks(ToyNetwork, tasks)


@pytest.mark.parametrize("tasks", [TASKS, ("semantic", "depth")])
def test_each_task_has_a_network_with_its_own_head_alone(tasks: tuple[Task, ...]) -> None:
    built = networks(tasks)
    assert tuple(built.networks) == tasks
    count = sum(parameter.numel() for parameter in built.parameters())
    assert count == sum(parameter.numel() for task in tasks for parameter in ToyNetwork((task,)).parameters())
    image = torch.rand(2, 3, 32, 48)
    predictions = built(image)
    assert tuple(predictions) == tasks
    for task, network in built.networks.items():
        assert torch.equal(predictions[task], network(image)[task])


def test_a_tasks_loss_reaches_its_own_network_alone() -> None:
    built = networks()
    outcome(toy_method(SingleTask()), built, toy_batch([[False, True, False]]))["total"].backward()
    reached = {
        task: any(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())
        for task, network in built.networks.items()
    }
    assert reached == {"semantic": False, "depth": True, "normal": False}


def test_trained_together_each_network_learns_what_it_learns_alone() -> None:
    together, batch = networks(), toy_batch([[True, True, False], [True, False, True]])
    alone = networks().networks
    optimizer = torch.optim.Adam(together.parameters(), 0.01)
    for _ in range(3):
        optimizer.zero_grad()
        outcome(toy_method(SingleTask()), together, batch)["total"].backward()
        optimizer.step()
    for task, network in alone.items():
        optimizer = torch.optim.Adam(network.parameters(), 0.01)
        for _ in range(3):
            optimizer.zero_grad()
            column = TASKS.index(task)
            labels = {task: batch.views[0].labels[task]}  # type: ignore[index]
            view = replace(batch.views[0], labels=labels)  # type: ignore[arg-type]
            own = replace(batch, granted=batch.granted[:, column, None], views=(view,))
            outcome(toy_method(Supervised(), (task,)), network, own)["total"].backward()  # type: ignore[arg-type]
            optimizer.step()
        for one, other in zip(network.parameters(), together.networks[task].parameters(), strict=True):
            torch.testing.assert_close(one, other)


def test_labels_that_are_withheld_do_not_enter() -> None:
    built, method, batch = networks(), toy_method(SingleTask()), toy_batch(ONE_LABEL)
    expected = outcome(method, built, batch)
    fill_withheld_labels(batch)
    assert all(torch.equal(value, expected[name]) for name, value in outcome(method, built, batch).items())
