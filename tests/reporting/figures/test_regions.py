"""The figure of regions and their Gaussians."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from rdc_sweeps.reporting.figures.regions import (
    draw_regions,
    nearest_share,
    overlay,
    principal_directions,
    shown_regions,
)
from rdc_sweeps.reporting.figures.style import encoded
from rdc_sweeps.training.colours import PALETTE
from rdc_sweeps.training.region_features import RegionFeatures, RegionGaussians


def features(shift: float = 0.1, *, regions: int = 3) -> RegionFeatures:
    """Regions in a row, of growing width; the label's means are those of the prediction, moved by `shift`."""
    generator = np.random.default_rng(0)
    slots = np.repeat(np.arange(regions), np.arange(1, regions + 1))[None].repeat(6, axis=0)
    mean = np.eye(regions, 5) * 10

    def gaussians(moved: float) -> RegionGaussians:
        cells = mean[slots.flatten()] + generator.normal(0, 0.1, (slots.size, 5))
        return RegionGaussians(cells, mean + moved, np.eye(5)[None].repeat(regions, axis=0))

    return RegionFeatures(
        image=np.full((24, slots.shape[1] * 4, 3), 100, dtype=np.uint8),
        slots=slots,
        counts=np.bincount(slots.flatten()),
        least=7,
        predicted_task="depth",
        labelled_task="semantic",
        predicted=gaussians(0),
        labelled=gaussians(shift),
    )


def test_regions_are_found_by_size_and_small_ones_left_out() -> None:
    found = features()
    assert found.counts.tolist() == [6, 12, 18]
    assert found.largest == [2, 1]
    assert nearest_share(found) == (1.0, 0.5)
    swapped = replace(found, labelled=replace(found.labelled, mean=found.labelled.mean[[0, 2, 1]]))
    assert nearest_share(swapped) == (0.0, 0.5)
    assert nearest_share(replace(found, least=100)) == (0.0, 0.0)


def test_patches_are_spread_over_the_image() -> None:
    patches = replace(features(), counts=np.full(48, 16))
    assert shown_regions(patches) == [0, 6, 12, 18, 24, 30, 36, 42]


def test_the_largest_region_has_the_first_colour() -> None:
    drawn = overlay(features())
    assert drawn.shape[0] >= 480
    row = drawn[drawn.shape[0] // 2]
    expected = (0.45 * 100 + 0.55 * PALETTE[0]).astype(np.uint8)
    assert tuple(row[-30]) == tuple(expected)
    assert (row == 255).all(axis=-1).any()
    assert tuple(row[5]) == (100, 100, 100)


def test_directions_are_orthonormal_and_have_one_sign() -> None:
    mean, directions = principal_directions(features())
    assert np.allclose(directions @ directions.T, np.eye(2))
    assert mean.shape == (5,)
    flipped = principal_directions(features())[1]
    assert np.array_equal(directions, flipped)
    assert all(one[np.abs(one).argmax()] > 0 for one in directions)


@pytest.mark.parametrize("name", ["ours", "$\\x$ <b>{0}\x1b[2J" + "long " * 60])
def test_the_figure_is_drawn(name: str) -> None:
    content = encoded(draw_regions(name, features(), features(4), 3))
    assert min(Image.open(io.BytesIO(content)).size) > 500
