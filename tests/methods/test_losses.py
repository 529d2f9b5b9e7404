import math

import torch
from torch import Tensor
from torch.testing import assert_close

from rdc_sweeps.methods.losses import depth_loss, normal_loss, semantic_loss, supervised_losses
from rdc_sweeps.specs.base import Task


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
