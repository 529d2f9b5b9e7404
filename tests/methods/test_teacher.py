from copy import deepcopy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from rdc_sweeps.methods.supervised import as_labels, supervised_losses
from rdc_sweeps.methods.teacher import TeacherAndStudent
from rdc_sweeps.specs.method import Teacher
from rdc_sweeps.specs.run import RunSpec

from .toy import CLASSES, ONE_LABEL, TASKS, ToyNetwork, fill_withheld_labels, outcome, toy_batch, toy_method

SPEC = Teacher(teacher_epochs=2, weight=0.5)


def networks() -> TeacherAndStudent:
    torch.manual_seed(5)
    return TeacherAndStudent(partial(ToyNetwork, TASKS))


def test_the_teacher_trains_first_and_is_frozen_then() -> None:
    both, method, batch = networks(), toy_method(SPEC), toy_batch(ONE_LABEL)
    optimizer = torch.optim.Adam(both.parameters(), 0.01)
    for epoch, changes in ((0.0, "teacher"), (1.9, "teacher"), (2.0, "student"), (3.5, "student")):
        before = deepcopy(both.state_dict())
        optimizer.zero_grad(set_to_none=True)
        outcome(method, both, batch, epoch)["total"].backward()
        optimizer.step()
        changed = {
            name.split(".")[0] for name, value in both.state_dict().items() if not torch.equal(value, before[name])
        }
        assert changed - {"student_trains"} == {changes}
        image = batch.views[0].image
        assert torch.equal(both.stages(image)[-1]["depth"], getattr(both, changes)(image)["depth"])
        assert torch.equal(both(image)["depth"], both.student(image)["depth"])


def test_the_network_in_training_is_part_of_the_state() -> None:
    both, other = networks(), networks()
    outcome(toy_method(SPEC), both, toy_batch(ONE_LABEL), epoch=2.0)
    image = torch.rand(1, 3, 32, 48)
    assert not torch.equal(other.stages(image)[-1]["depth"], both.stages(image)[-1]["depth"])
    other.load_state_dict(both.state_dict())
    assert torch.equal(other.stages(image)[-1]["depth"], both.stages(image)[-1]["depth"])


def test_the_student_learns_from_labels_and_from_the_teachers_predictions_where_there_are_none() -> None:
    both, batch = networks(), toy_batch(ONE_LABEL)
    found = outcome(toy_method(SPEC), both, batch, epoch=2.0)
    view = batch.views[0]
    student = both.student(view.image)
    labelled = supervised_losses(TASKS, student, view.labels, batch.granted)
    taught = supervised_losses(TASKS, student, as_labels(both.teacher.eval()(view.image)), ~batch.granted)
    expected = sum(labelled[task] + 0.5 * taught[task] for task in TASKS)
    torch.testing.assert_close(found["total"], expected)
    for task in TASKS:
        torch.testing.assert_close(found[f"loss/predicted_{task}"], taught[task].detach())
    fill_withheld_labels(batch)
    assert torch.equal(outcome(toy_method(SPEC), both, batch, epoch=2.0)["total"], found["total"])


def test_predictions_as_labels() -> None:
    semantic = F.one_hot(torch.randint(0, CLASSES, (1, 2, 3)), CLASSES).movedim(-1, 1).float()
    depth = torch.tensor([[[[1.5, -2.0]]]])
    normal = torch.tensor([0.0, 3.0, 4.0]).view(1, 3, 1, 1)
    found = as_labels({"semantic": semantic, "depth": depth, "normal": normal})
    assert torch.equal(F.one_hot(found["semantic"], CLASSES).movedim(-1, 1).float(), semantic)
    assert found["depth"].flatten().tolist() == [1.5, 0.0]  # 0 is void
    torch.testing.assert_close(found["normal"].flatten(), torch.tensor([0.0, 0.6, 0.8]))


def test_the_student_needs_an_epoch() -> None:
    with pytest.raises(ValidationError, match=r"method\.teacher_epochs: 4 of 4 epochs leave none for the student"):
        RunSpec.model_validate({"method": {"name": "teacher", "teacher_epochs": 4}, "training": {"epochs": 4}})
    with pytest.raises(ValidationError, match=r"method\.teacher_epochs: 4 of 2 epochs leave none for the student"):
        RunSpec.model_validate({"method": {"name": "teacher", "teacher_epochs": 4}, "training": {"iterations": 100}})
