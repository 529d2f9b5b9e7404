"""Runs with scores and predictions that a test makes up."""

import numpy as np

from rdc_sweeps.reporting.sides import Side
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.specs.catalogue import Run
from rdc_sweeps.training.predictions import ImagePredictions, predictions_file
from rdc_sweeps.training.scores import ImageScores, scores_file
from tests.reporting.conftest import Bench

IMAGES = 6
CLASSES = 13
SIZE = (24, 32)


def scores(number: float = 0.0, *, images: int = IMAGES, seed: int = 0, epoch: int = 3) -> ImageScores:
    """Scores that are better by `number`, with differences between the images."""
    generator = np.random.default_rng(seed)
    confusion = generator.integers(0, 50, (images, CLASSES, CLASSES))
    confusion[:, 7] = confusion[:, :, 7] = 0
    easy = np.linspace(-1, 1, images)
    return ImageScores(
        epoch=epoch,
        images=np.arange(images),
        values={
            "mIoU": 20 + number + 5 * easy + generator.normal(0, 0.1, images),
            "pixAcc": 50 + easy,
            "aErr": 1.2 - number / 50 - easy / 4,
            "aErr_released": 1.1 - number / 50 - easy / 4,
            "rErr": 0.3 - easy / 20,
            "mErr": 38 - number / 2 - 3 * easy,
            "mErr_released": 12 - easy,
        },
        pixels={"semantic": confusion.sum(axis=(1, 2)), "depth": np.full(images, 700), "normal": np.full(images, 700)},
        confusion=confusion,
    )


def predictions(images: tuple[int, ...] = (1, 4), *, shift: float = 0.0) -> ImagePredictions:
    """Maps of a floor and a wall; predictions differ from the labels by `shift`."""
    count, (height, width) = len(images), SIZE
    rows, columns = np.mgrid[:height, :width]
    semantic = np.broadcast_to(np.where(rows > height / 2, 4, 11), (count, height, width)).astype(np.int16)
    semantic = np.where(columns < 2, -1, semantic).astype(np.int16)
    depth = np.broadcast_to(1 + columns / width, (count, height, width)).astype(np.float16)
    normal = np.zeros((count, 3, height, width), dtype=np.float16)
    normal[:, 2] = 1
    tilted = normal.copy()
    tilted[:, 0] = shift
    wrong = np.where(rows < 6, 2, semantic).astype(np.int16)
    return ImagePredictions(
        epoch=3,
        images=np.array(images),
        inputs=np.full((count, height, width, 3), 130, dtype=np.uint8),
        truth={"semantic": semantic, "depth": depth, "normal": normal},
        predicted={"semantic": wrong, "depth": depth + np.float16(shift), "normal": tilted},
    )


def finish(bench: Bench, run: Run, number: float = 0.0, *, kept: ImagePredictions | None = None) -> RunDirectory:
    """A done run with scores and, if given, predictions."""
    directory = RunDirectory(bench.root, run.id)
    request_run(directory, run.spec)
    found = scores(number, seed=run.spec.seed)
    means = {name: float(values.mean()) for name, values in found.values.items()}
    bench.finish(run, means)  # type: ignore[arg-type]
    found.save(scores_file(directory.images, found.epoch), run.id)
    if kept is not None:
        kept.save(predictions_file(directory.images), run.id)
    return directory


def side(name: str, run: Run, directory: RunDirectory) -> Side:
    return Side(name, f"{run.table.table}/{run.row.id}, seed 0", run.spec, {0: directory}, "last")
