import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.utils.data import DataLoader, TensorDataset

from rdc_sweeps.specs.training import TrainingLength, TrainingSpec


@given(count=st.integers(1, 60), batch_size=st.integers(1, 20))
def test_batches_are_those_of_torch_s_loader(count: int, batch_size: int) -> None:
    for last_batch in ("dropped", "kept"):
        images = TensorDataset(torch.zeros(count))
        loader = DataLoader(images, batch_size, drop_last=last_batch == "dropped")
        expected = [len(batch) for (batch,) in loader]
        found = TrainingSpec.model_validate({"batch_size": batch_size, "last_batch": last_batch}).batch_sizes(count)
        # Fewer images than a batch are a batch; torch has none then.
        assert found == (expected or [count])


@given(iterations=st.integers(1, 200), count=st.integers(1, 40), batch_size=st.integers(1, 12))
def test_iterations_divide_into_epochs(iterations: int, count: int, batch_size: int) -> None:
    length = TrainingSpec(iterations=iterations, batch_size=batch_size).length(count)
    assert length.steps == iterations
    assert length.steps_per_epoch == max(1, count // batch_size)
    of_epochs = [length.steps_of(epoch) for epoch in range(length.epochs)]
    assert sum(of_epochs) == iterations
    assert set(of_epochs[:-1]) <= {length.steps_per_epoch}
    assert of_epochs[-1] == (iterations - 1) % length.steps_per_epoch + 1
    ends = [sum(of_epochs[: epoch + 1]) for epoch in range(length.epochs)]
    assert [length.end_of(epoch) for epoch in range(length.epochs)] == ends
    for steps in range(iterations + 1):
        assert length.epochs_after(steps) == sum(end <= steps for end in ends)


def test_epochs_have_whole_batches() -> None:
    assert TrainingSpec(epochs=20, batch_size=10).length(795) == TrainingLength(20 * 79, 79)
    assert TrainingSpec(epochs=20, batch_size=10, last_batch="kept").length(795) == TrainingLength(20 * 80, 80)


def test_iterations_replace_the_epochs_that_nobody_wrote() -> None:
    spec = TrainingSpec(iterations=40_000)
    assert (spec.epochs, spec.iterations) == (None, 40_000)
    assert TrainingSpec.model_validate(spec.model_dump()) == spec
    assert (TrainingSpec().epochs, TrainingSpec().iterations) == (20, None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"epochs": 20, "iterations": 40_000},
            r"epochs is 20 and iterations 40000, .* set the other to null \(training.epochs=null or",
        ),
        ({"epochs": None}, "are both null; set training.epochs or training.iterations"),
        ({"iterations": 0}, "greater than or equal to 1"),
    ],
)
def test_a_training_has_one_length(values: dict[str, int | None], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingSpec.model_validate(values)


@pytest.mark.parametrize("augmentation", [{"flip_again": True}, {"flip": True, "views": 1, "flip_again": True}])
def test_view_2_is_flipped_again_only_if_there_are_flips_and_two_views(augmentation: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="flip_again: true needs flip: true and views: 2"):
        TrainingSpec.model_validate({"augmentation": augmentation})
