import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rdc_sweeps.data.batches import Batch, jointly_valid
from rdc_sweeps.methods.joint_task import JointTaskTerm
from rdc_sweeps.methods.method import Outputs
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import JointTask

from .toy import CLASSES, ONE_LABEL, TASKS, fill_withheld_labels, outcome, toy_batch, toy_method, toy_network, toy_term

SPEC = JointTask(width=2)
SIZE = (32, 64)
TWO: tuple[Task, ...] = ("semantic", "depth")
FULL = [[True, True, True], [True, True, True]]


def joint_batch(granted: list[list[bool]], views: int = 1) -> Batch:
    return toy_batch(granted, views, SIZE)


def predictions(images: int = 2, tasks: tuple[Task, ...] = TASKS) -> dict[Task, Tensor]:
    generator = torch.Generator().manual_seed(3)
    channels: dict[Task, int] = {"semantic": CLASSES, "depth": 1, "normal": 3}
    return {task: torch.randn(images, channels[task], *SIZE, generator=generator).requires_grad_() for task in tasks}


def stacks(term: JointTaskTerm, predicted: dict[Task, Tensor], batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    view = batch.views[-1]
    valid = jointly_valid(TASKS, view.labels, batch.granted)[:, None]
    return (*term.stacks(predicted, view, batch.granted, valid, batch.noise), valid)


def test_stacks_hold_labels_where_there_are_and_predictions_elsewhere() -> None:
    term, predicted, batch = toy_term(SPEC), predictions(), joint_batch(ONE_LABEL)
    batch.views[0].labels["depth"][0, 0, 3, 5] = 0
    of_predictions, completed, valid = stacks(term, predicted, batch)
    view = batch.views[0]
    assert not valid[0, 0, 3, 5]
    # Image 0 has depth, image 1 semantic labels.
    for pixel, depth in (((7, 9), float(view.labels["depth"][0, 0, 7, 9])), ((3, 5), 0.0)):
        expected = 0.5 * (1 + math.erf((depth - 2.3618) / 1.5876 / math.sqrt(2)))
        assert completed[0, CLASSES, pixel[0], pixel[1]].item() == pytest.approx(expected, rel=1e-5)
    semantic = view.labels["semantic"][1]
    assert torch.equal(completed[1, :CLASSES].argmax(0)[semantic >= 0], semantic[semantic >= 0])
    assert (completed[1, :CLASSES][:, semantic < 0] == 0).all()
    assert torch.equal(completed[0, :CLASSES], of_predictions[0, :CLASSES])
    assert torch.equal(completed[:, CLASSES + 1 :], of_predictions[:, CLASSES + 1 :])
    unit = 2 * of_predictions[:, CLASSES + 1 :] - 1
    shown = valid.expand_as(unit)
    torch.testing.assert_close(unit[shown], F.normalize(predicted["normal"], dim=1)[shown])
    assert (of_predictions[:, :CLASSES].sum(1, keepdim=True)[valid] - 1).abs().max() < 1e-5


@pytest.mark.parametrize("granted", [ONE_LABEL, [[True, True, False], [False, False, True]]])
def test_the_distance_reaches_unlabelled_predictions_and_the_reconstruction_the_autoencoder_alone(
    granted: list[list[bool]],
) -> None:
    predicted, batch = predictions(), joint_batch(granted)
    for spec, reaches_network in (
        (JointTask(width=2, reconstruction_weight=0), True),
        (JointTask(width=2, distance_weight=0), False),
    ):
        term = toy_term(spec)
        term(Outputs([predicted], predicted), batch, 1.0).total.backward()
        for column, task in enumerate(TASKS):
            gradient = predicted[task].grad
            for image, row in enumerate(granted):
                expected = reaches_network and not row[column]
                assert (gradient is not None and bool(gradient[image].any())) is expected, (task, image)
            predicted[task].grad = None
        trained = [name for name, value in term.named_parameters() if value.grad is not None and value.grad.any()]
        assert bool(trained) is not reaches_network


def test_with_all_labels_no_prediction_gets_a_gradient() -> None:
    predicted = predictions()
    toy_term(SPEC)(Outputs([predicted], predicted), joint_batch(FULL), 1.0).total.backward()
    assert all(value.grad is None or not value.grad.any() for value in predicted.values())


def test_equal_stacks_have_no_distance() -> None:
    found = outcome(toy_method(SPEC), toy_network(), joint_batch([[False] * 3] * 2))
    assert found["loss/joint_distance"].abs() < 1e-6
    assert found["loss/joint_reconstruction"] > 0


def test_the_total_follows_from_its_parts() -> None:
    """In evaluation mode all passes of the encoder are alike, so both distances have one value."""
    spec = JointTask(width=2, distance_weight=3, reconstruction_weight=0.5, ramp_epochs=4)
    method = toy_method(spec).eval()
    found = outcome(method, toy_network(), joint_batch(ONE_LABEL), epoch=1.0)
    supervised = sum(found[f"loss/{task}"] for task in TASKS)
    joint = 3 * (1 + 0.5) * found["loss/joint_distance"] + 0.5 * found["loss/joint_reconstruction"]
    torch.testing.assert_close(found["total"].detach(), supervised + 0.25 * joint)


@torch.no_grad()
def test_the_reconstruction_is_that_of_a_loop_over_pixels() -> None:
    term, predicted, batch = toy_term(SPEC), predictions(), joint_batch(ONE_LABEL)
    batch.views[0].labels["depth"][0, 0, :5] = 0
    found = term(Outputs([predicted], predicted), batch, 1.0).reported["loss/joint_reconstruction"]
    of_predictions, completed, valid = stacks(term, predicted, batch)
    expected = 0.0
    for stack in (completed, of_predictions):
        restored = term.autoencoder(stack)[1].double()
        for image in range(2):
            sums = [0.0, 0.0, 0.0]
            pixels = valid[image, 0].nonzero().tolist()
            for y, x in pixels:
                logits, target = restored[image, :, y, x], stack[image, :, y, x].double()
                for logit, wanted in zip(logits[:CLASSES].tolist(), target[:CLASSES].tolist(), strict=True):
                    probability = 1 / (1 + math.exp(-logit))
                    sums[0] -= wanted * math.log(probability) + (1 - wanted) * math.log(1 - probability)
                sums[1] += abs(1 / (1 + math.exp(-float(logits[CLASSES]))) - float(target[CLASSES]))
                normal, unit = logits[CLASSES + 1 :], 2 * target[CLASSES + 1 :] - 1
                sums[2] += 1 - float(normal @ unit) / float(normal.norm() * unit.norm())
            expected += sum(sums) / len(pixels) / 2
    assert found.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("granted", [ONE_LABEL, [[True, True, False], [False, False, True]]])
def test_labels_that_are_withheld_and_the_first_views_images_do_not_enter_the_term(granted: list[list[bool]]) -> None:
    network, built, batch = toy_network().eval(), toy_method(SPEC), joint_batch(granted, views=2)
    expected = outcome(built, network, batch)
    fill_withheld_labels(batch)
    other = replace(batch.views[0], image=torch.zeros_like(batch.views[0].image))
    found = outcome(built, network, replace(batch, views=(other, batch.views[1])))
    for name in ("loss/joint_distance", "loss/joint_reconstruction"):
        assert torch.equal(found[name], expected[name])


def test_two_tasks_and_bfloat16() -> None:
    network, built = toy_network(TWO), toy_method(SPEC, TWO)
    with torch.autocast("cpu", torch.bfloat16):
        found = outcome(built, network, joint_batch([[True, False], [False, True]]))
    found["total"].backward()
    assert all(value.isfinite() for value in found.values())
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in built.parameters())
