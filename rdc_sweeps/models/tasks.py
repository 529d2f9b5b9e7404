"""How many channels a map of each task has."""

from collections.abc import Sequence

from rdc_sweeps.specs.base import Task


def task_channels(tasks: Sequence[Task], classes: int) -> dict[Task, int]:
    """Channels per task: `classes` logits, one depth, three components of a normal; in the order of `tasks`."""
    channels: dict[Task, int] = {"semantic": classes, "depth": 1, "normal": 3}
    return {task: channels[task] for task in tasks}
