"""Our step, its parts and the released step in turns."""

from __future__ import annotations

import gc
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.contrast.timing import medians, paired_ratio, peak_bytes, reset_peak, resident_bytes
from benchmarks.data.reading import write_root
from benchmarks.gpu.training import random_batch, without_weights
from benchmarks.machine import processor_name
from benchmarks.step.ours import CONTRAST, OurStep
from benchmarks.step.released import ReleasedStep
from rdc_sweeps.data.loading import TrainingBatches
from rdc_sweeps.errors import UsageError
from rdc_sweeps.processes.memory import keep_freed_memory
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
    seconds: dict[str, list[float]] = {"ours": [], "released": []}
    parts: list[dict[str, float]] = []
    with _process() as own, _process() as other:
        peak = {
            kind: place.apply(_begin, (kind, size, settings, torch.get_num_threads()))
            for kind, place in (("ours", own), ("released", other))
        }
        for number in range(WARM_UP + repeats):
            taken = {"ours": own.apply(_take), "released": other.apply(_take)}
            cut = own.apply(_parts)
            if number >= WARM_UP:
                parts.append(cut)
                for name, one in taken.items():
                    seconds[name].append(one)
        metrics = [own.apply(_metrics) for _ in range(repeats)]
    return {
        "size": list(spec.dataset.size),
        "seconds": medians(seconds),
        "ours to released": paired_ratio(seconds["ours"], seconds["released"]),
        "contrast": statistics.median(sum(one[name] for name in CONTRAST) / sum(one.values()) for one in parts),
        "parts": medians({name: [one[name] for one in parts] for name in parts[0]}),
        "loading": _loading(spec, repeats),
        "metrics": statistics.median(metrics),
        "peak": peak,
    }


def _process() -> Pool:
    return multiprocessing.get_context("spawn").Pool(1)


class _Begun(NamedTuple):
    """The steps of a process, of which the released one shares the network's weights."""

    ours: OurStep
    step: Callable[[], None]


_begun: list[_Begun] = []


def _begin(kind: str, size: Size, settings: Sequence[str], threads: int) -> int:
    """Make a step in this process; returns the bytes that two of them need beyond the weights."""
    torch.set_num_threads(threads)
    if kind == "ours":
        # As the processes of runs do; the transcription is as plain as its process.
        keep_freed_memory()
    # Code and libraries are loaded by a small step.
    _steps(kind, Size(size.profile, 2, 4), settings).step()
    _begun.append(_steps(kind, size, settings))
    gc.collect()
    before = resident_bytes()
    reset_peak()
    _take()
    _take()
    return peak_bytes() - before


def _steps(kind: str, size: Size, settings: Sequence[str]) -> _Begun:
    spec = size.spec(settings)
    batch = random_batch(spec, 0, size.regions)
    ours = OurStep(spec, batch)
    return _Begun(ours, ours if kind == "ours" else ReleasedStep(ours.learner, batch))


def _take() -> float:
    began = time.process_time()
    _begun[-1].step()
    return time.process_time() - began


def _parts() -> dict[str, float]:
    return _begun[-1].ours.parts()


def _metrics() -> float:
    return _begun[-1].ours.metrics()


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
