"""Prediction panels show what they are given."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rdc_sweeps.errors import UsageError
from rdc_sweeps.training.colours import (
    BLACK,
    PALETTE,
    class_colour,
    depth_colours,
    depth_range,
    hatching,
    normal_colours,
    semantic_colours,
)
from rdc_sweeps.training.panels import CAPTION, GAP, SMALLEST, panel_parts, prediction_panel

SIZE = (160, 200)


def image() -> torch.Tensor:
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0))


def maps() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "semantic": torch.randint(-1, 13, SIZE, generator=generator),
        "depth": 1 + 4 * torch.rand(1, *SIZE, generator=generator),
        "normal": torch.randn(3, *SIZE, generator=generator),
    }


def cell(panel: np.ndarray, row: int, column: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """One picture of a panel."""
    height, width = size
    top, left = CAPTION + row * (height + CAPTION), GAP + column * (width + GAP)
    return panel[top : top + height, left : left + width]


@pytest.mark.parametrize("tasks", [["semantic", "depth", "normal"], ["semantic", "depth"], ["normal"], ["depth"]])
def test_every_task_has_a_column(tasks: list[str]) -> None:
    truth = {task: maps()[task] for task in tasks}
    panel = prediction_panel(image(), truth, truth)
    height, width = SIZE
    assert panel.dtype == np.uint8
    assert panel.shape == (2 * (height + CAPTION) + GAP, (1 + len(tasks)) * (width + GAP) + GAP, 3)
    for column in range(1, len(tasks) + 1):
        assert np.array_equal(cell(panel, 0, column), cell(panel, 1, column))


def test_the_input_comes_first() -> None:
    panel = prediction_panel(image(), {}, {"normal": maps()["normal"]})
    expected = np.rint(image().numpy() * 255).transpose(1, 2, 0)
    assert np.array_equal(cell(panel, 0, 0), expected)


@pytest.mark.parametrize("truth", [{}, {"semantic": None, "depth": None, "normal": None}])
def test_a_truth_that_is_missing_is_hatched(truth: dict[str, None]) -> None:
    panel = prediction_panel(image(), truth, maps())
    for column in (1, 2, 3):
        assert np.array_equal(cell(panel, 0, column), hatching(*SIZE))
        assert not np.array_equal(cell(panel, 1, column), hatching(*SIZE))


def test_scores_are_drawn_as_their_best_class() -> None:
    labels = maps()["semantic"].clamp(min=0)
    scores = torch.nn.functional.one_hot(labels, 13).permute(2, 0, 1).bfloat16()
    panel = prediction_panel(image(), {"semantic": labels}, {"semantic": scores})
    assert np.array_equal(cell(panel, 0, 1), cell(panel, 1, 1))


def test_depth_of_truth_and_prediction_shares_a_range() -> None:
    depth = maps()["depth"]
    panel = prediction_panel(image(), {"depth": depth}, {"depth": depth + 2})
    low, high = depth_range([depth[0].numpy()])
    assert np.array_equal(cell(panel, 1, 1), depth_colours(depth[0].numpy() + 2, low, high))


def test_truth_without_a_valid_depth_leaves_the_range_to_the_prediction() -> None:
    depth = maps()["depth"]
    panel = prediction_panel(image(), {"depth": torch.zeros_like(depth)}, {"depth": depth})
    assert (cell(panel, 0, 1) == 0).all()
    assert len(np.unique(cell(panel, 1, 1))) > 50


def test_small_images_are_magnified() -> None:
    small = torch.rand(3, 32, 48)
    panel = prediction_panel(small, {}, {"normal": small - 0.5})
    assert panel.shape[0] >= 2 * SMALLEST
    zoom = -(-SMALLEST // 32)
    shown = cell(panel, 0, 0, (32 * zoom, 48 * zoom))
    assert np.array_equal(shown[::zoom, ::zoom], np.rint(small.numpy() * 255).transpose(1, 2, 0))


def test_a_prediction_that_diverged_is_drawn() -> None:
    broken = {task: torch.full_like(value, float("nan")) for task, value in maps().items() if task != "semantic"}
    panel = prediction_panel(image(), {}, broken)
    assert (cell(panel, 1, 1) == 0).all()
    assert (cell(panel, 1, 2) == 0).all()


def test_inputs_are_not_changed() -> None:
    given_maps = {task: value.numpy() for task, value in maps().items()}
    copies = {task: value.copy() for task, value in given_maps.items()}
    prediction_panel(image(), given_maps, given_maps)
    assert all(np.array_equal(given_maps[task], copies[task]) for task in copies)


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match=r"normal has shape \(3, 8, 8\), expected \(3, 160, 200\)"):
        prediction_panel(image(), {}, {"normal": torch.zeros(3, 8, 8)})


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'edges' cannot be drawn\. Available: semantic, depth, normal"):
        prediction_panel(image(), {}, {"edges": torch.zeros(SIZE)})


def test_the_legend_names_the_classes_that_occur() -> None:
    labels = torch.full(SIZE, 2)
    named = prediction_panel(image(), {}, {"semantic": labels}, classes=["a", "b", "ceiling"])
    other = prediction_panel(image(), {}, {"semantic": labels}, classes=["a", "b", "roof"])
    assert not np.array_equal(cell(named, 1, 0), cell(other, 1, 0))
    assert (cell(named, 1, 0) == class_colour(2)).all(axis=-1).any()
    assert not (cell(named, 1, 0) == class_colour(1)).all(axis=-1).any()


def test_classes_are_told_apart() -> None:
    colours = PALETTE.astype(int)
    distance = np.abs(colours[:, None] - colours[None]).sum(axis=-1) + 999 * np.eye(len(colours), dtype=int)
    assert distance.min() > 60
    assert (colours.sum(axis=-1) > 100).all()


def test_void_is_black_and_more_classes_than_colours_are_drawn() -> None:
    labels = np.array([[-1, 0, len(PALETTE), 255]])
    drawn = semantic_colours(labels)
    assert tuple(drawn[0, 0]) == BLACK
    assert tuple(drawn[0, 1]) == tuple(PALETTE[0])
    assert len({tuple(colour) for colour in drawn[0]}) == 4


@settings(max_examples=30)
@given(length=st.floats(1e-3, 1e3))
def test_the_length_of_a_normal_does_not_show(length: float) -> None:
    normal = maps()["normal"].numpy()
    assert np.abs(normal_colours(normal * length).astype(int) - normal_colours(normal)).max() <= 1


def test_a_normal_towards_the_camera_has_its_usual_colour() -> None:
    assert tuple(normal_colours(np.array([0.0, 0.0, 1.0]).reshape(3, 1, 1))[0, 0]) == (128, 128, 255)
    assert tuple(normal_colours(np.zeros((3, 1, 1)))[0, 0]) == BLACK


@pytest.mark.parametrize("tasks", [["semantic", "depth", "normal"], ["depth", "semantic"], ["normal"]])
def test_a_panel_is_cut_into_its_pictures(tasks: list[str]) -> None:
    truth = {task: maps()[task] for task in tasks}
    panel = prediction_panel(image(), truth, truth)
    parts = panel_parts(Image.fromarray(panel), tasks)
    legend = ["legend"] if "semantic" in tasks else []
    assert list(parts) == ["input", *(name for task in tasks for name in (f"{task} truth", task)), *legend]
    np.testing.assert_array_equal(np.asarray(parts["input"]), cell(panel, 0, 0))
    for column, task in enumerate(tasks, 1):
        np.testing.assert_array_equal(np.asarray(parts[f"{task} truth"]), cell(panel, 0, column))
        np.testing.assert_array_equal(np.asarray(parts[task]), cell(panel, 1, column))


@pytest.mark.parametrize("size", [(640, 480), (5, 5), (1, 1)])
def test_another_picture_is_no_panel(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="is no panel of 2 tasks"):
        panel_parts(Image.new("RGB", size), ["semantic", "depth"])
