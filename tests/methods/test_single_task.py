import pytest
import torch

from rdc_sweeps.methods.single_task import SingleTaskNetworks
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import SingleTask, Supervised

from .toy import ONE_LABEL, TASKS, ToyNetwork, fill_withheld_labels, outcome, toy_batch, toy_method


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
            view = type(batch.views[0])(batch.views[0].image, labels, None)  # type: ignore[arg-type]
            own = type(batch)(batch.rows, batch.granted[:, column, None], (view,))
            outcome(toy_method(Supervised(), (task,)), network, own)["total"].backward()  # type: ignore[arg-type]
            optimizer.step()
        for one, other in zip(network.parameters(), together.networks[task].parameters(), strict=True):
            torch.testing.assert_close(one, other)


def test_labels_that_are_withheld_do_not_enter() -> None:
    built, method, batch = networks(), toy_method(SingleTask()), toy_batch(ONE_LABEL)
    expected = outcome(method, built, batch)
    fill_withheld_labels(batch)
    assert all(torch.equal(value, expected[name]) for name, value in outcome(method, built, batch).items())
