import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rdc_sweeps.errors import DataError, DivergenceError
from rdc_sweeps.metrics.meters import DepthMeter, MultiTaskMeter, NormalMeter, SemanticMeter
from rdc_sweeps.specs.base import Task

Vectors = npt.NDArray[np.float64]
TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
CLASSES = 5


def sample(seed: int, images: int = 6) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random predictions and labels with invalid pixels of every kind."""
    generator = torch.Generator().manual_seed(seed)

    def normal(channels: int) -> Tensor:
        return torch.randn(images, channels, 8, 10, generator=generator)

    predictions = {"semantic": normal(CLASSES), "depth": normal(1) + 2, "normal": normal(3)}
    invalid = torch.rand(images, 3, 8, 10, generator=generator) < 0.3
    labels = {
        "semantic": torch.randint(0, CLASSES, (images, 8, 10), generator=generator).masked_fill(invalid[:, 0], -1),
        "depth": (normal(1).abs() + 0.1).masked_fill(invalid[:, 1:2], 0),
        "normal": torch.nn.functional.normalize(normal(3), dim=1).masked_fill(invalid[:, 2:], 0),
    }
    return predictions, labels


def measure(predictions: dict[str, Tensor], labels: dict[str, Tensor], splits: list[int]) -> MultiTaskMeter:
    meter = MultiTaskMeter(TASKS, CLASSES)
    pieces = {key: torch.split(maps, splits) for key, maps in predictions.items()}
    wanted = {key: torch.split(maps, splits) for key, maps in labels.items()}
    for batch in range(len(splits)):
        meter.update(
            {key: maps[batch] for key, maps in pieces.items()}, {key: maps[batch] for key, maps in wanted.items()}
        )
    return meter


def angles(predicted: Vectors, labelled: Vectors) -> Vectors:
    """Degrees between unit vectors by Kahan's formula, which shares no step with the meter."""
    difference = np.linalg.norm(predicted - labelled, axis=-1)
    total = np.linalg.norm(predicted + labelled, axis=-1)
    return np.asarray(np.degrees(2 * np.arctan2(difference, total)))


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def as_maps(vectors: Vectors) -> Tensor:
    """(N, 3) to (1, 3, 1, N)."""
    return torch.from_numpy(np.ascontiguousarray(vectors.T)).view(1, 3, 1, -1)


def mean_angles(predicted: Vectors, labelled: Vectors) -> tuple[float, float]:
    meter = NormalMeter()
    meter.update(as_maps(predicted), as_maps(labelled))
    values = meter.compute()
    assert values["mErr"] is not None
    assert values["mErr_released"] is not None
    return values["mErr"], values["mErr_released"]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_no_split_into_batches_changes_a_metric(seed: int, splits: list[int]) -> None:
    predictions, labels = sample(seed, sum(splits))
    whole = measure(predictions, labels, [sum(splits)]).compute()
    assert measure(predictions, labels, splits).compute() == pytest.approx(whole, rel=1e-12)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.integers(1, 5))
def test_meters_of_two_processes_merge(seed: int, cut: int) -> None:
    predictions, labels = sample(seed)
    parts = []
    for where in (slice(None, cut), slice(cut, None)):
        part = MultiTaskMeter(TASKS, CLASSES)
        part.update({k: v[where] for k, v in predictions.items()}, {k: v[where] for k, v in labels.items()})
        parts.append(part)
    parts[0].merge(parts[1].state_dict())
    assert parts[0].compute() == pytest.approx(measure(predictions, labels, [6]).compute(), rel=1e-12)


def test_a_state_is_a_copy() -> None:
    meter = measure(*sample(0), [6])
    state = meter.state_dict()
    before = {name: total.clone() for name, total in state.items()}
    meter.merge(state)
    assert all(torch.equal(state[name], before[name]) for name in state)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31))
def test_metrics_agree_with_their_definitions(seed: int) -> None:
    predictions, labels = sample(seed)
    metrics = measure(predictions, labels, [2, 4]).compute()

    truth, guess = labels["semantic"].numpy(), predictions["semantic"].argmax(1).numpy()
    valid = truth >= 0
    ious = [((truth == c) & (guess == c)).sum() / (valid & ((truth == c) | (guess == c))).sum() for c in range(CLASSES)]
    assert metrics["mIoU"] == pytest.approx(100 * np.mean(ious))
    assert metrics["pixAcc"] == pytest.approx(100 * (truth == guess)[valid].mean())

    depth, estimate = labels["depth"].double().numpy(), predictions["depth"].double().numpy()
    error = np.abs(estimate - depth)[depth > 0]
    assert metrics["aErr"] == pytest.approx(error.mean())
    assert metrics["aErr_released"] == pytest.approx(np.abs(np.maximum(estimate, 1e-9) - depth)[depth > 0].mean())
    assert metrics["rErr"] == pytest.approx((error / depth[depth > 0]).mean())

    normal = labels["normal"].double().movedim(1, -1).reshape(-1, 3).numpy()
    predicted = predictions["normal"].double().movedim(1, -1).reshape(-1, 3).numpy()
    valid = (normal != 0).any(-1)
    assert metrics["mErr"] == pytest.approx(angles(unit(predicted[valid]), unit(normal[valid])).mean())
    released = np.degrees(np.arccos(np.clip((predicted[valid] * normal[valid]).sum(-1), -1, 1)))
    assert metrics["mErr_released"] == pytest.approx(released.mean())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.floats(1e-4, 10), st.sampled_from([torch.float32, torch.float64]))
def test_the_released_depth_meter_raises_negative_predictions_and_the_honest_one_does_not(
    seed: int, scale: float, precision: torch.dtype
) -> None:
    rng = np.random.default_rng(seed)
    label = scale * rng.gamma(2, size=(3, 1, 6, 7)) * (rng.random((3, 1, 6, 7)) > 0.2)
    prediction = label + scale * rng.normal(size=label.shape)
    # Whatever the seed: valid and invalid pixels, and a negative prediction on a valid one.
    label[0, 0, 0, :3], prediction[0, 0, 0, :3] = (scale, 0, scale), (-scale, -scale, scale)
    meter, labels = DepthMeter(), torch.from_numpy(label).to(precision)
    predictions = torch.from_numpy(prediction).to(precision)
    for image in range(3):
        meter.update(predictions[image : image + 1], labels[image : image + 1])
    metrics = meter.compute()

    published = []
    for depth, predicted in zip(labels.flatten().tolist(), predictions.flatten().tolist(), strict=True):
        if depth != 0:
            published.append(abs(depth - max(predicted, 1e-9)))
    assert metrics["aErr_released"] == pytest.approx(math.fsum(published) / len(published), rel=1e-8, abs=0)
    assert metrics["aErr"] is not None
    assert metrics["aErr_released"] is not None
    # The one negative prediction alone costs its full length more.
    assert metrics["aErr"] > metrics["aErr_released"] + 0.9 * scale / len(published)


@pytest.mark.parametrize("degrees", [0.0, 1e-6, 1e-3, 0.1, 25.0, 90.0, 135.0, 179.999, 180.0])
@pytest.mark.parametrize("length", [1e-20, 0.007, 1.0, 40.0])
def test_honest_angle_is_accurate_at_every_angle_and_length(degrees: float, length: float) -> None:
    radians = math.radians(degrees)
    labelled = np.array([[1.0, 0.0, 0.0]])
    predicted = length * np.array([[math.cos(radians), math.sin(radians), 0.0]])
    assert mean_angles(predicted, labelled)[0] == pytest.approx(degrees, rel=1e-9, abs=1e-12)
    assert mean_angles(labelled, predicted)[0] == pytest.approx(degrees, rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.floats(1e-3, 1e3))
def test_honest_meter_equals_an_independent_computation_whatever_the_length(seed: int, length: float) -> None:
    rng = np.random.default_rng(seed)
    labelled, predicted = unit(rng.normal(size=(200, 3))), unit(rng.normal(size=(200, 3)))
    assert mean_angles(predicted * length, labelled)[0] == pytest.approx(angles(predicted, labelled).mean(), rel=1e-9)


def test_released_meter_falls_below_the_angle_as_predictions_grow() -> None:
    # Predictions within 90 degrees of the label, as a trained network's are, at an honest mean near 25.
    rng = np.random.default_rng(0)
    labelled = unit(rng.normal(size=(20_000, 3)))
    predicted = unit(labelled + 0.35 * rng.normal(size=labelled.shape))
    acute = (predicted * labelled).sum(-1) > 0
    predicted, labelled = predicted[acute], labelled[acute]
    measured = [mean_angles(predicted * length, labelled) for length in (1.0, 1.07, 1.35, 2.6, 10.0)]
    honest, released = zip(*measured, strict=True)
    assert honest == pytest.approx([honest[0]] * len(honest), rel=1e-9)
    assert released[0] == pytest.approx(honest[0], rel=1e-6)
    assert all(later < earlier for earlier, later in pairwise(released))
    assert released[-1] < honest[-1] / 4


def test_a_prediction_without_direction_counts_90_degrees() -> None:
    labelled = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    assert mean_angles(np.zeros((2, 3)), labelled)[0] == pytest.approx(90)
    assert mean_angles(np.array([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), labelled)[0] == pytest.approx(45)


def test_a_normal_whose_components_cancel_is_valid() -> None:
    labelled = unit(np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]))
    assert mean_angles(unit(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])), labelled)[0] == pytest.approx(45)


def test_a_class_that_occurs_nowhere_is_left_out() -> None:
    meter = SemanticMeter(4)
    logits = torch.nn.functional.one_hot(torch.tensor([[[0, 0, 1, 3]]]), 4).permute(0, 3, 1, 2).float()
    meter.update(logits, torch.tensor([[[0, 1, 1, -1]]]))
    # Class 3 is predicted on void only and class 2 never: 1/2 and 1/2 remain.
    assert meter.compute() == {"mIoU": pytest.approx(50), "pixAcc": pytest.approx(200 / 3)}


def test_large_counts_stay_exact() -> None:
    meter = SemanticMeter(2)
    meter.merge({"confusion": torch.tensor([[2**40, 1], [0, 2**40]])})
    meter.merge({"confusion": torch.tensor([[1, 0], [0, 0]])})
    assert meter.state_dict()["confusion"].tolist() == [[2**40 + 1, 1], [0, 2**40]]


def test_without_valid_pixels_there_is_no_metric() -> None:
    meter = MultiTaskMeter(TASKS, CLASSES)
    nothing = {
        "semantic": torch.full((1, 4, 4), -1),
        "depth": torch.zeros(1, 1, 4, 4),
        "normal": torch.zeros(1, 3, 4, 4),
    }
    meter.update(sample_predictions(), nothing)
    assert set(meter.compute().values()) == {None}


def sample_predictions() -> dict[str, Tensor]:
    return {"semantic": torch.rand(1, CLASSES, 4, 4), "depth": torch.rand(1, 1, 4, 4), "normal": torch.rand(1, 3, 4, 4)}


def test_half_precision_and_gradients_are_welcome() -> None:
    predictions, labels = sample(0)
    low = {key: maps.bfloat16().requires_grad_() for key, maps in predictions.items()}
    meter = MultiTaskMeter(TASKS, CLASSES)
    meter.update(low, labels)
    assert all(not total.requires_grad for total in meter.state_dict().values())
    expected = measure({key: maps.bfloat16().double() for key, maps in predictions.items()}, labels, [6])
    assert meter.compute() == pytest.approx(expected.compute())


def test_a_label_beyond_the_classes_is_refused() -> None:
    with pytest.raises(DataError, match="7"):
        SemanticMeter(5).update(torch.rand(1, 5, 1, 2), torch.tensor([[[0, 7]]]))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_predictions_that_are_not_finite_are_not_a_metric(value: float) -> None:
    depth = DepthMeter()
    depth.update(torch.full((1, 1, 2, 2), value), torch.ones(1, 1, 2, 2))
    with pytest.raises(DivergenceError, match="aErr"):
        depth.compute()
    normal = NormalMeter()
    normal.update(torch.full((1, 3, 2, 2), value), torch.ones(1, 3, 2, 2))
    with pytest.raises(DivergenceError, match="mErr"):
        normal.compute()
