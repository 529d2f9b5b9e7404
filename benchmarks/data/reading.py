"""`python -m benchmarks.data.reading [--root ROOT]`: how fast images are loaded, and how soon a run begins.

All variants are measured in turns, so that other work on the machine slows down each of them; what is compared are
ratios of medians.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.data.published_loop import PublishedLoop
from benchmarks.machine import processor_name
from rdc_sweeps.data.loading import TrainingBatches
from rdc_sweeps.data.scene import Subset
from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.files import write_json
from rdc_sweeps.regions.generator import eight_bit
from rdc_sweeps.regions.store import image_key
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.base import Size
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.synthetic.rooms.scenes import render
from rdc_sweeps.training.packs import pack_root
from rdc_sweeps.training.provenance import describe_data
from rdc_sweeps.training.setup import build_learner, open_data, open_generator, region_reader, stored_regions

SIZE: Size = (288, 384)
BATCH = 4
TEST_IMAGES = 4
SOME = 64
"""Images that are loaded again and again."""

PARTS = ("loading", "start", "waiting")

DRAWN = 12
"""Scenes that are rendered; the others are shifted copies."""


class Place(NamedTuple):
    """A data set, and cache folders: with packed data, with region maps in one file, and with neither."""

    root: Path
    packed: Path
    indexed: Path
    plain: Path


def spec_of(profile: str, row: str) -> RunSpec:
    """A row of table 3 with one label an image; superpixels in place of SAM's regions, which need weights."""
    (run,) = Catalogue(Path("experiments")).runs("table3", profile, rows=[row], seeds=[0])
    spec = run.spec.model_dump(mode="json")
    spec["dataset"] |= {"train_images": None, "test_images": None, "validation_images": 0}
    spec["labels"] = {"setting": "onelabel"}
    if spec["method"]["extraction"]["name"] == "region":
        spec["method"]["extraction"]["regions"] = {"source": "superpixel"}
    spec["backbone"]["pretrained"] = {"source": "none"}
    return RunSpec.model_validate(spec)


def settings_of(place: Place, cache: Path) -> Settings:
    """Settings of a run on the processor."""
    return Settings(nyuv2_root=place.root, cache_root=cache, device="cpu", workers=0)


def write_root(root: Path, count: int, size: Size = SIZE) -> None:
    """Write a data set of rendered rooms as the published ones are stored: images and labels as floats."""
    scenes = [render(0, seed, size) for seed in range(min(DRAWN, max(count, TEST_IMAGES)))]
    for split, images in (("train", count), ("val", TEST_IMAGES)):
        for index in range(images):
            scene = scenes[index % len(scenes)]
            arrays = {"image": np.round(scene.image * 255) / 255, "label": scene.semantic, "depth": scene.depth}
            for folder, array in {**arrays, "normal": scene.normal}.items():
                (root / split / folder).mkdir(parents=True, exist_ok=True)
                shifted = np.roll(np.asarray(array, np.float32), index // len(scenes), axis=1)
                np.save(root / split / folder / f"{index}.npy", shifted)


def prepare(root: Path, folder: Path, spec: RunSpec) -> Place:
    """Pack the data, and store a region map of each image: cells of a grid, parted by brightness, instead of SLIC's."""
    place = Place(root, *(folder / name for name in ("packed", "indexed", "plain")))
    pack_root(spec.dataset, root, place.packed, lambda *_: None)
    settings = settings_of(place, place.plain)
    (source, images) = stored_regions(spec), open_data(spec, settings).splits.train
    assert source is not None
    _, store = open_generator(source, settings, "cpu")
    rows, columns = (np.arange(length) // 48 for length in SIZE)
    cells = rows[:, None] * len(np.unique(columns)) + columns
    for index in range(len(images)):
        image = images.image(index)
        store.put(image_key(image).digest, (2 * cells + (eight_bit(image)[..., 1] > 127)).astype(np.int32))
    for cache in (place.indexed, place.packed):
        shutil.copytree(place.plain, cache, dirs_exist_ok=True)
        region_reader(spec, open_data(spec, settings_of(place, cache)), settings_of(place, cache))
    return place


def begin(spec: RunSpec, settings: Settings) -> None:
    """What a run does with its data from the command to its first batch: what the command checks, then the worker."""
    build_missing_regions([spec], settings, lambda *_: None)
    data = open_data(spec, settings)
    regions = region_reader(spec, data, settings)
    assert regions is not None
    describe_data(spec, settings, data.splits, regions=regions.digest)
    batches = TrainingBatches(data.splits.train, data.train_mask, regions, spec.training, seed=0).epoch(0)
    next(batches)
    batches.close()


def forget(*folders: Path) -> None:
    """Drop the files of folders from the system's cache of files."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)


def begin_plainly(spec: RunSpec, settings: Settings) -> None:
    """Begin where maps are not in one file."""
    for path in settings.cache_root.rglob("packed"):
        shutil.rmtree(path)
    begin(spec, settings)


def time_starts(place: Place, spec: RunSpec, repeats: int) -> dict[str, Any]:
    """Seconds on the clock and of the processor, each start in a process of its own."""
    variants: dict[str, Callable[[], None]] = {
        "files, each map": partial(begin_plainly, spec, settings_of(place, place.plain)),
        "files, maps in one file": partial(begin, spec, settings_of(place, place.indexed)),
        "pack, maps in one file": partial(begin, spec, settings_of(place, place.packed)),
    }
    caches = (place.plain, place.indexed, place.packed)
    found: dict[str, list[tuple[float, float]]] = {}
    os.sync()
    for _ in range(repeats):
        for (name, variant), cache in zip(variants.items(), caches, strict=True):
            for temperature in ("cold", "warm"):
                if temperature == "cold":
                    forget(place.root, cache)
                found.setdefault(f"{temperature}: {name}", []).append(_apart(variant))
    return {
        name: {"seconds": median(clock for clock, _ in times), "processor": median(busy for _, busy in times)}
        for name, times in found.items()
    }


def _apart(work: Callable[[], None]) -> tuple[float, float]:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(_timed, (work,))


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    began, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - busy


def time_loading(place: Place, spec: RunSpec, rounds: int) -> dict[str, float]:
    """Milliseconds of the processor for an image with two views, from files in the system's cache."""
    loop = PublishedLoop(place.root / "train")
    training = spec.training.model_copy(update={"batch_size": BATCH})
    data = open_data(spec, settings_of(place, place.plain))
    some = np.arange(min(SOME, len(data.splits.train)))
    work: dict[str, Callable[[int], object]] = {
        "published loop": lambda step: loop.batch([(BATCH * step + number) % len(some) for number in range(BATCH)])
    }
    for name, cache in (("files", place.plain), ("pack", place.packed)):
        split = Subset(open_data(spec, settings_of(place, cache)).splits.train, some)
        for labels, mask in (("all labels", data.train_mask | True), ("one label", data.train_mask)):
            work[f"{name}, {labels}"] = partial(_load, TrainingBatches(split, mask[some], None, training, seed=0))
    every = TrainingBatches(data.splits.train, data.train_mask | True, None, training, seed=0)
    work["files, all labels, first time"] = partial(_load_next, every)
    times: dict[str, list[float]] = {name: [] for name in work}
    names, order = list(work), random.Random(0)
    for step in range(rounds + 2):
        # What is in the processor's caches depends on who was before.
        order.shuffle(names)
        for name in names:
            began = time.process_time()
            work[name](step)
            # The first rounds compile, and read the files.
            if step > 1:
                times[name].append((time.process_time() - began) / BATCH * 1000)
    return {name: median(values) for name, values in times.items()}


def _load(batches: TrainingBatches, step: int) -> None:
    for _ in batches.epoch(step, 0, 1):
        pass


def _load_next(batches: TrainingBatches, step: int) -> None:
    """Load images that this process has not read before, and has to check."""
    for _ in batches.epoch(0, step, step + 1):
        pass


def time_waiting(place: Place, profile: str, steps: int, batch_size: int | None) -> dict[str, float]:
    """The share of a training's time in which it waits for a batch, after the first one."""
    settings, spec = settings_of(place, place.packed), spec_of(profile, "one-patch-gaussian")
    training = spec.training.model_copy(update={"batch_size": batch_size or spec.training.batch_size})
    data = open_data(spec, settings)
    learner = build_learner(spec, settings).train()
    optimizer = torch.optim.Adam(learner.parameters())
    batches = TrainingBatches(data.splits.train, data.train_mask, None, training, seed=0).epoch(0, 0, steps + 1)
    waited, began = 0.0, 0.0
    for step in range(steps + 1):
        asked = time.perf_counter()
        batch = next(batches)
        if step:
            waited += time.perf_counter() - asked
        else:
            began = time.perf_counter()
        optimizer.zero_grad()
        learner(batch, 0.0).total.backward()
        optimizer.step()
    batches.close()
    total = time.perf_counter() - began
    return {"batch": training.batch_size, "seconds per step": total / (steps + 1), "waiting share": waited / total}


def lines(results: Mapping[str, Any]) -> list[str]:
    """The results as tables."""
    loading, starts, waiting = results["loading"], results["start"], results["waiting"]
    text = ["| loading an image with two views | ms | times the published loop's speed |", "|---|---|---|"]
    text += [f"| {name} | {value:.2f} | {loading['published loop'] / value:.1f} |" for name, value in loading.items()]
    text += ["", f"| start, {results['images']} images | s | of these, processor | times sooner |", "|---|---|---|---|"]
    for name, value in starts.items():
        first = starts[f"{name.split(':')[0]}: files, each map"]["seconds"]
        text.append(f"| {name} | {value['seconds']:.2f} | {value['processor']:.2f} | {first / value['seconds']:.1f} |")
    text += ["", "| training on the processor | images per step | s per step | waits for data |", "|---|---|---|---|"]
    for name, value in waiting.items():
        text.append(
            f"| {name} | {value['batch']} | {value['seconds per step']:.1f} | {value['waiting share'] * 100:.2f} % |"
        )
    return text


def main() -> None:
    """Measure, print tables, and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data.reading", description=__doc__)
    parser.add_argument("--root", type=Path, help="NYU-V2 in MTAN's layout, at 288x384; default: drawn rooms")
    parser.add_argument("--images", type=int, default=795, help="training images that are drawn")
    parser.add_argument("--repeats", type=int, default=3, help="of each start")
    parser.add_argument("--rounds", type=int, default=60, help="batches of each loader")
    parser.add_argument("--steps", type=int, default=3, help="of each training")
    parser.add_argument("--profiles", nargs="*", default=["cpu", "paper"], help="of the trainings")
    parser.add_argument("--batch-size", type=int, help="of the trainings, if memory is short; default: the profile's")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS, help="the others stay as the file has them")
    parser.add_argument("--json", type=Path, help="file for the results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = chosen.root or Path(folder) / "root"
        if chosen.root is None:
            write_root(root, chosen.images)
        count = len(list((root / "train" / "image").iterdir()))
        spec = spec_of("paper", "one-region-gaussian")
        place = prepare(root, Path(folder), spec)
        results: dict[str, Any] = {
            "machine": {
                "processor": processor_name(),
                "cores": len(os.sched_getaffinity(0)),
                "torch": torch.__version__,
            },
            "images": count,
            "size": list(SIZE),
            "drawn": chosen.root is None,
            **{part: {} for part in PARTS},
        }
        if chosen.json and chosen.json.exists():
            results |= {part: value for part, value in json.loads(chosen.json.read_text()).items() if part in PARTS}
        if "loading" in chosen.parts:
            results["loading"] = time_loading(place, spec, chosen.rounds)
        if "start" in chosen.parts:
            results["start"] = time_starts(place, spec, chosen.repeats)
        if "waiting" in chosen.parts:
            for name in chosen.profiles:
                results["waiting"][f"profile {name}"] = time_waiting(place, name, chosen.steps, chosen.batch_size)
    print("\n".join(lines(results)))
    if chosen.json:
        write_json(chosen.json, results)


if __name__ == "__main__":
    main()
