"""Our step, its parts and the released step in turns."""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.contrast.timing import medians, paired_ratio, peak_bytes, reset_peak, resident_bytes
from benchmarks.data.reading import write_root
from benchmarks.gpu.training import random_batch, without_weights
from benchmarks.machine import processor_name
from benchmarks.step.ours import CONTRAST, OurStep
from benchmarks.step.released import ReleasedStep
from rdc_sweeps.data.loading import TrainingBatches
from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.setup import open_data

WARM_UP = 1
"""Steps before those that count: they compile, and make the optimiser's moments."""


@dataclass(frozen=True)
class Size:
    """What is measured: a profile, images of a batch, regions of an image."""

    profile: str
    images: int
    regions: int

    @staticmethod
    def of(text: str) -> Size:
        """PROFILE:IMAGES:REGIONS.

        Raises:
            UsageError: It is not that.
        """
        profile, _, numbers = text.partition(":")
        images, _, regions = numbers.partition(":")
        if not (images.isdigit() and regions.isdigit()):
            raise UsageError(f"{text}: expected PROFILE:IMAGES:REGIONS, like paper:2:30")
        return Size(profile, int(images), int(regions))

    def spec(self, settings: Sequence[str]) -> RunSpec:
        """Region Gaussians with one label an image, the first row of table 3 of its kind."""
        sizes = [*settings, f"training.batch_size={self.images}"]
        (run,) = Catalogue(Path("experiments")).runs(
            "table3", self.profile, rows=["one-region-gaussian"], seeds=[0], settings=sizes
        )
        return without_weights(run.spec)


def measured(size: Size, settings: Sequence[str], repeats: int) -> dict[str, Any]:
    """Seconds of the processor, ratios of steps next to each other, and peaks of memory."""
    spec = size.spec(settings)
    batch = random_batch(spec, 0, size.regions)
    ours = OurStep(spec, batch)
    released = ReleasedStep(ours.learner, batch)
    seconds: dict[str, list[float]] = {"ours": [], "released": []}
    parts: list[dict[str, float]] = []
    for number in range(WARM_UP + repeats):
        taken = {"ours": _processor(ours), "released": _processor(released)}
        cut = ours.parts()
        if number >= WARM_UP:
            parts.append(cut)
            for name, one in taken.items():
                seconds[name].append(one)
    return {
        "size": list(spec.dataset.size),
        "seconds": medians(seconds),
        "ours to released": paired_ratio(seconds["ours"], seconds["released"]),
        "contrast": statistics.median(sum(one[name] for name in CONTRAST) / sum(one.values()) for one in parts),
        "parts": medians({name: [one[name] for one in parts] for name in parts[0]}),
        "loading": _loading(spec, repeats),
        "metrics": statistics.median(ours.metrics() for _ in range(repeats)),
        "peak": {kind: _peak(kind, size, settings) for kind in ("ours", "released")},
    }


def _processor(step: Callable[[], None]) -> float:
    began = time.process_time()
    step()
    return time.process_time() - began


def _peak(kind: str, size: Size, settings: Sequence[str]) -> int:
    """Bytes that two steps need beyond the weights, in a process of their own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_here, (kind, size, settings, torch.get_num_threads()))


def _peak_here(kind: str, size: Size, settings: Sequence[str], threads: int) -> int:
    torch.set_num_threads(threads)
    # Code and libraries are loaded by a small step.
    _step_of(kind, Size(size.profile, 2, 4), settings)()
    step = _step_of(kind, size, settings)
    gc.collect()
    before = resident_bytes()
    reset_peak()
    step()
    step()
    return peak_bytes() - before


def _step_of(kind: str, size: Size, settings: Sequence[str]) -> Callable[[], None]:
    spec = size.spec(settings)
    batch = random_batch(spec, 0, size.regions)
    ours = OurStep(spec, batch)
    return ours if kind == "ours" else ReleasedStep(ours.learner, batch)


def _loading(spec: RunSpec, repeats: int) -> float:
    """Seconds of the processor to load a batch with two views, from files of drawn rooms in the system's cache."""
    with tempfile.TemporaryDirectory() as folder:
        write_root(Path(folder) / "root", spec.training.batch_size, spec.dataset.size)
        dataset = spec.dataset.model_copy(update={"train_images": None, "test_images": None, "validation_images": 0})
        changed = RunSpec.model_validate(
            {
                **spec.model_dump(mode="json"),
                "dataset": dataset.model_dump(mode="json"),
                "labels": {"setting": "onelabel"},
            }
        )
        data = open_data(changed, Settings(nyuv2_root=Path(folder) / "root", cache_root=Path(folder), device="cpu"))
        batches = TrainingBatches(data.splits.train, data.train_mask, None, changed.training, seed=0, workers=0)
        taken = []
        for number in range(WARM_UP + repeats):
            began = time.process_time()
            for _ in batches.epoch(number, 0, 1):
                pass
            taken.append(time.process_time() - began)
    return statistics.median(taken[WARM_UP:])


def machine() -> dict[str, Any]:
    """What figures depend on."""
    return {"threads": torch.get_num_threads(), "torch": torch.__version__, "processor": processor_name()}
