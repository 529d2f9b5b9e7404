"""Pictures of what runs keep of their test images."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdc_sweeps.errors import UsageError
from rdc_sweeps.reporting.images import image_depth_range, kept_predictions, kept_scores, picture, png
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.training.colours import PALETTE, depth_colours
from rdc_sweeps.training.predictions import ImagePredictions, predictions_file

from .conftest import Bench


def predictions(shift: float = 0.0) -> ImagePredictions:
    """Two images of 4x6: number 5 and number 9."""
    depth = (1 + np.arange(24, dtype=np.float16).reshape(1, 4, 6) / 8).repeat(2, axis=0)
    semantic = np.arange(24, dtype=np.int16).reshape(1, 4, 6).repeat(2, axis=0) % 5
    normal = np.zeros((2, 3, 4, 6), dtype=np.float16)
    normal[:, 2] = 1
    return ImagePredictions(
        epoch=3,
        images=np.array([5, 9]),
        inputs=np.full((2, 4, 6, 3), 77, dtype=np.uint8),
        truth={"semantic": semantic, "depth": depth, "normal": normal},
        predicted={"semantic": (semantic + 1) % 5, "depth": depth + np.float16(shift), "normal": normal},
    )


def test_a_picture_has_the_colours_of_panels_and_the_size_asked_for() -> None:
    shown = picture(predictions(), 9, "truth", "semantic", size=(8, 12))
    assert shown.shape == (8, 12, 3)
    assert tuple(shown[0, 0]) == tuple(PALETTE[0])
    assert tuple(shown[0, 2]) == tuple(PALETTE[1])
    assert tuple(picture(predictions(), 9, "prediction", "semantic")[0, 0]) == tuple(PALETTE[1])
    assert tuple(picture(predictions(), 5, "truth", "normal")[0, 0]) == (128, 128, 255)
    assert (picture(predictions(), 5, "input", size=(2, 3)) == 77).all()


def test_depths_of_several_runs_share_the_range_of_the_label() -> None:
    one, other = predictions(), predictions(1.5)
    assert image_depth_range(one, 5) == image_depth_range(other, 5)
    expected = depth_colours(other.predicted["depth"][0].astype(np.float32), *image_depth_range(one, 5))
    assert np.array_equal(picture(other, 5, "prediction", "depth"), expected)
    assert np.array_equal(picture(one, 5, "truth", "depth"), picture(other, 5, "truth", "depth"))


def test_a_picture_is_a_png_of_the_same_bytes_every_time() -> None:
    drawn = picture(predictions(), 5, "truth", "semantic")
    assert png(drawn) == png(drawn)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(drawn)))), drawn)


def test_what_is_missing_is_told_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"no predictions for test image 4\. Available: 5, 9"):
        picture(predictions(), 4, "input")
    found = predictions()
    del found.predicted["normal"]
    with pytest.raises(UsageError, match=r"no prediction of normal\. Available: semantic, depth"):
        picture(found, 5, "prediction", "normal")


def test_runs_without_files_have_neither_scores_nor_predictions(bench: Bench, tmp_path: Path) -> None:
    run = bench.runs(rows=["one-patch-vector"])[0]
    directory = RunDirectory(bench.root, run.id)
    assert kept_scores(directory) is None
    bench.finish(run, {"mIoU": 20.0})
    assert kept_scores(directory, "best-validation") is None
    assert kept_predictions(directory) is None
    predictions().save(predictions_file(directory.images), run.id)
    kept = kept_predictions(directory)
    assert kept is not None
    assert np.array_equal(kept.truth["depth"], predictions().truth["depth"])
