"""Methods by the type of their spec; to add one, add a file and a line here, or write an extension."""

from collections.abc import Callable
from typing import Any

from rdc_sweeps.methods.cross_task import CrossTaskMethod
from rdc_sweeps.methods.dejavu import DejaVuMethod
from rdc_sweeps.methods.method import Method
from rdc_sweeps.methods.region_contrast import RegionContrastMethod
from rdc_sweeps.methods.supervised import SupervisedMethod
from rdc_sweeps.specs.base import Spec, Task
from rdc_sweeps.specs.extensions import implementation
from rdc_sweeps.specs.method import CrossTask, DejaVu, MethodSpec, RegionContrast, SingleTask, Supervised

METHODS: dict[type[Spec], Callable[[Any, tuple[Task, ...], int], Method]] = {
    Supervised: lambda spec, tasks, classes: SupervisedMethod(tasks),
    SingleTask: lambda spec, tasks, classes: SupervisedMethod(tasks),
    RegionContrast: RegionContrastMethod,
    CrossTask: CrossTaskMethod,
    DejaVu: DejaVuMethod,
}
"""Builders: (spec, tasks, number of classes) -> method."""


def build_method(spec: MethodSpec, tasks: tuple[Task, ...], classes: int) -> Method:
    """The method of a spec; its initialisation follows torch's global seed."""
    return implementation("rdc_sweeps.methods", spec, METHODS)(spec, tasks, classes)
