"""Images per second that the loader makes ready."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.contrast.scenes import voronoi
from rdc_sweeps.data.loading import TrainingBatches
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.setup import stored_regions
from rdc_sweeps.training.splits import open_splits

IMAGES = 32
"""Rendered rooms, which are as large as the images of the run; reading them takes the place of reading .npy files."""


def run(spec: RunSpec, settings: Settings, workers: Sequence[int], *, small: bool) -> list[dict[str, Any]]:
    """A row for each number of loading processes, with the views and labels of a run."""
    fields = {"name": "rooms", "size": list(spec.dataset.size), "train_images": 8 if small else IMAGES}
    rooms = type(spec).model_validate({**spec.model_dump(), "dataset": fields}).dataset
    images = open_splits(rooms, root=None, cache=settings.cache_root).train
    mask = np.ones((len(images), len(rooms.tasks)), dtype=np.bool_)
    map_ = voronoi(1, *rooms.size, 60)[0].numpy().astype(np.int32)
    regions = None if stored_regions(spec) is None else lambda _: map_
    rows = []
    for number in workers:
        batches = TrainingBatches(images, mask, regions, spec.training, seed=0, workers=number)
        list(batches.epoch(0))  # renders the images, and starts what stays
        began, loaded = time.perf_counter(), 0
        for epoch in range(1, 2 if small else 6):
            loaded += sum(len(batch) for batch in batches.epoch(epoch))
        rows.append({"loading processes": number, "images/s": loaded / (time.perf_counter() - began)})
    return rows
