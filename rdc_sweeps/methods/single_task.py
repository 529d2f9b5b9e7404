"""STL: one network per task, the reference of the relative gain over tasks."""

from collections.abc import Callable

from torch import Tensor, nn

from rdc_sweeps.specs.base import Task


class SingleTaskNetworks(nn.Module):
    """A network of its own for each task, with the predictions of a multi-task network.

    They are trained by the supervised losses alone, at once. They share no parameter and Adam is elementwise, so each
    learns what it would learn by itself from the same batches.

    Args:
        build: Makes the network of some tasks, drawing from torch's global generator.
        tasks: Each gets its network, in this order.
    """

    def __init__(self, build: Callable[[tuple[Task, ...]], nn.Module], tasks: tuple[Task, ...]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({task: build((task,)) for task in tasks})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Predictions of all tasks, see `MultiTaskNetwork.forward`."""
        return {task: network(image)[task] for task, network in self.networks.items()}
