"""Pseudo-labels: a teacher trained on the available labels predicts the missing ones for a student (Lee, 2013)."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.methods.method import Losses, Method
from rdc_sweeps.methods.supervised import Supervision, as_labels
from rdc_sweeps.models.network import Predictions
from rdc_sweeps.specs.method import Teacher


class TeacherAndStudent(nn.Module):
    """Two networks of one architecture with the interface of one: the student predicts, either is trained.

    The student is evaluated from the beginning, so no rule that selects an epoch can take the teacher for the result.

    Args:
        build: Builds a network, initialised from torch's global generator.
    """

    def __init__(self, build: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.teacher, self.student = build(), build()
        self.student_trains: Tensor
        self.register_buffer("student_trains", torch.tensor(False))

    def forward(self, image: Tensor) -> Predictions:
        """Predictions of the student, see `MultiTaskNetwork.forward`."""
        predictions: Predictions = self.student(image)
        return predictions

    def stages(self, image: Tensor) -> Sequence[Predictions]:
        """Predictions of the network in training, see `MultiTaskNetwork.stages`."""
        trained = self.student if self.student_trains else self.teacher
        stages: Sequence[Predictions] = trained.stages(image)  # type: ignore[operator]
        return stages


class TeacherMethod(Method):
    """Trains a teacher with the supervised losses, then a student with these and with the teacher's predictions.

    For an image without the label of a task, the student's loss for that task is that of a label made of the frozen
    teacher's prediction for the same view, in evaluation mode: the most likely class, depth, a unit normal. All pixels
    count, whatever the teacher's confidence, but for depths that are not positive. Only the first view is used.

    The student starts from its own initialisation. The optimiser does not touch parameters without gradients, so the
    student also has its own moments of Adam. Learning rates follow the run's schedule; let it restart when the student
    begins, as `cosine_restarts` does with `period` equal to `teacher_epochs`.
    """

    def __init__(self, spec: Teacher, supervision: Supervision) -> None:
        super().__init__()
        self.spec = spec
        self.supervision = supervision

    def forward(self, network: nn.Module, batch: Batch, epoch: float) -> Losses:
        """See `Method.forward`; the network is a `TeacherAndStudent`."""
        assert isinstance(network, TeacherAndStudent)
        student_trains = epoch >= self.spec.teacher_epochs
        network.student_trains.fill_(student_trains)
        view = batch.views[0]
        stages = network.stages(view.image)
        supervised: Losses = self.supervision(stages, batch)
        if not student_trains:
            return supervised
        network.teacher.eval()
        with torch.no_grad():
            predicted = replace(view, labels=as_labels(network.teacher(view.image)))
        taught: Losses = self.supervision(stages, replace(batch, views=(predicted,), granted=~batch.granted))
        reported = {name.replace("loss/", "loss/predicted_"): value for name, value in taught.reported.items()}
        return Losses(supervised.total + self.spec.weight * taught.total, {**reported, **supervised.reported})
