"""Methods and terms by the type of their spec; to add one, add a file and a line here, or write an extension."""

from collections.abc import Callable
from typing import Any

from rdc_sweeps.errors import UsageError
from rdc_sweeps.methods.cross_task import CrossTaskTerm
from rdc_sweeps.methods.dejavu import DejaVuTerm
from rdc_sweeps.methods.joint_task import JointTaskTerm
from rdc_sweeps.methods.method import Method, Term
from rdc_sweeps.methods.region_contrast import RegionContrastTerm
from rdc_sweeps.methods.supervised import SupervisedMethod, Supervision
from rdc_sweeps.methods.teacher import TeacherMethod
from rdc_sweeps.specs.base import Spec, Task
from rdc_sweeps.specs.extensions import implementation
from rdc_sweeps.specs.method import (
    Combined,
    CrossTask,
    DejaVu,
    JointTask,
    MethodSpec,
    RegionContrast,
    SingleTask,
    Supervised,
    Teacher,
    terms_of,
)
from rdc_sweeps.specs.training import TrainingSpec

TERMS: dict[type[Spec], Callable[[Any, tuple[Task, ...], int], Term | Method]] = {
    RegionContrast: RegionContrastTerm,
    CrossTask: CrossTaskTerm,
    DejaVu: DejaVuTerm,
    JointTask: JointTaskTerm,
}
"""Builders: (spec, tasks, number of classes) -> term, or, of an extension, a whole method."""


def build_method(spec: MethodSpec, tasks: tuple[Task, ...], classes: int, training: TrainingSpec) -> Method:
    """Build the method of a spec; its initialisation follows torch's global seed.

    Args:
        spec: The method.
        tasks: Tasks in the order of the columns of `Batch.granted`.
        classes: Number of semantic classes.
        training: Weights of tasks and stages, and how two views pass through the network.

    Raises:
        UsageError: An extension cannot be imported, or cannot be combined with other terms.
    """
    supervision = Supervision(tasks, training.task_weights, training.stage_weight)
    if isinstance(spec, Teacher):
        return TeacherMethod(spec, supervision)
    terms: dict[str, Term] = {}
    if not isinstance(spec, Supervised | SingleTask):
        for term in terms_of(spec).values():
            built = implementation("rdc_sweeps.methods", term, TERMS)(term, tasks, classes)
            name = type(term).model_fields["name"].default
            if isinstance(built, Term):
                terms[name] = built
            elif isinstance(spec, Combined):
                raise UsageError(
                    f"method.{name}: {type(built).__name__} is a whole method; only a Term can be combined"
                )
            else:
                return built
    return SupervisedMethod(supervision, terms, training.augmentation.view_norm)
