"""Writes the scenes of a source as `.npy` files: in parallel, in constant memory, and resumable at any point."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rdc_sweeps.data import arrays
from rdc_sweeps.data.arrays import AnyArray, Stored
from rdc_sweeps.data.importing.record import RECORD, UNFINISHED, begun_import, write_record
from rdc_sweeps.data.importing.source import SCENES, Source, Split
from rdc_sweeps.data.mtan import MtanLayout
from rdc_sweeps.errors import DataError, UsageError
from rdc_sweeps.files import json_bytes, try_lock, unlock, write_atomically
from rdc_sweeps.processes.workers import map_in_workers, worker_count

Progress = Callable[[str, int, int], None]
"""Called with the title of what is counted, how much of it is done, and the total."""

LOCK = "lock"


@dataclass(frozen=True)
class ImportReport:
    """Numbers of scenes of an import.

    Attributes:
        written: Read and written by this call.
        kept: Already there.
    """

    written: int
    kept: int


def import_source(
    source: Source, root: Path, *, workers: int | None = None, progress: Progress | None = None
) -> ImportReport:
    """Write all scenes of a source into a root; safe to kill at any point and call again.

    Each array is checked as if it were read for training, and each file appears whole. Until all scenes are written the
    root has a folder `UNFINISHED`, with which it cannot be opened; `import.json` is written last. Scenes that have all
    their files are not read again, also after the import is finished, so that a repetition restores lost files. If the
    source has digests of its scenes, those whose files have changed since are read again.

    Args:
        source: What to import.
        root: An empty or new folder, or one that an import of the same source was begun in.
        workers: Number of processes; None: one for each core that this process may use.
        progress: Called after each scene.

    Raises:
        UsageError: The root has something else in it, another import is running there, or `workers` is not positive.
        DataError: A scene cannot be read, or training would refuse it. Finished scenes are kept.
        InfrastructureError: A worker process was killed.
    """
    workers = worker_count(workers)
    # As it will be read again, where tuples are lists.
    description = json.loads(json_bytes({**source.description, "counts": dict(source.counts)}))
    changed = _changed(root, description)
    missing = sorted({*_missing(source, root), *changed})
    total = sum(source.counts.values())
    kept = total - len(missing)
    if not missing and (root / RECORD).exists() and not (root / UNFINISHED).exists():
        return ImportReport(0, kept)
    with _begun(root) as staging:
        for split, index in changed:
            for folder in source.layout.folders:
                (root / split / folder / f"{index}.npy").unlink(missing_ok=True)
        write_record(staging, description)
        write = partial(_write_scene, source, root, staging)
        _report(progress, kept, total)
        for done, _ in enumerate(map_in_workers(write, missing, min(workers, max(1, len(missing)))), kept + 1):
            _report(progress, done, total)
        write_record(root, description)
    return ImportReport(len(missing), kept)


def _report(progress: Progress | None, done: int, total: int) -> None:
    if progress:
        progress("imported", done, total)


def _changed(root: Path, description: dict[str, Any]) -> list[tuple[Split, int]]:
    """Scenes in a root whose files have changed since; refuses a root with other content than of the same source."""
    begun = begun_import(root)
    if begun is None:
        if any(root.joinpath(split).exists() for split in ("train", "val")):
            raise UsageError(f"{root}: has a data set that was not imported; choose a new folder")
        return []
    names = sorted(name for name in {*begun, *description} - {SCENES} if begun.get(name) != description.get(name))
    if names:
        different = "; ".join(f"{name} was {begun.get(name)}, and is {description.get(name)}" for name in names)
        raise UsageError(
            f"{root}: something else was imported here ({different}); choose a new folder, repeat the first command, "
            "or remove this folder"
        )
    splits: Mapping[Split, list[str]] = description.get(SCENES, {})
    return [
        (split, index)
        for split, digests in splits.items()
        for index, (before, now) in enumerate(zip(begun.get(SCENES, {}).get(split, digests), digests, strict=True))
        if before != now
    ]


def _missing(source: Source, root: Path) -> list[tuple[Split, int]]:
    """Scenes without some of their files."""
    missing: list[tuple[Split, int]] = []
    for split, count in source.counts.items():
        # One listing for each folder, since asking for each file takes long on a shared disk.
        found = [
            {path.name for path in folder.iterdir()} if (folder := root / split / name).is_dir() else set()
            for name in source.layout.folders
        ]
        missing += [(split, index) for index in range(count) if not all(f"{index}.npy" in names for names in found)]
    return missing


@contextmanager
def _begun(root: Path) -> Iterator[Path]:
    """Mark the root as unfinished, and hold its lock; yields the folder for files that are being written.

    The mark is removed only if the import succeeds, and with it what killed processes have left half-written.
    """
    staging = root / UNFINISHED
    staging.mkdir(parents=True, exist_ok=True)
    lock = try_lock(staging / LOCK)
    if lock is None:
        raise UsageError(f"{root}: another process is importing into this folder; wait for it")
    try:
        yield staging
        shutil.rmtree(staging)
    finally:
        unlock(lock)


def _write_scene(source: Source, root: Path, staging: Path, scene: tuple[Split, int]) -> None:
    split, index = scene
    read = source.scene(split, index)
    layout = source.layout
    stored = {
        name: Stored(root / split / folder / f"{index}.npy", read[name])
        for name, folder in zip(("image", *layout.labels), layout.folders, strict=True)
    }
    _check(stored, layout)
    for one in stored.values():
        one.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(one.path, partial(_save, values=one.values), staging=staging)


def _save(file: Any, values: AnyArray) -> None:
    np.save(file, np.ascontiguousarray(values), allow_pickle=False)


def _check(stored: Mapping[str, Stored], layout: MtanLayout) -> None:
    """Refuse what training would refuse."""
    height, width = stored["image"].values.shape[:2]
    for name, one in stored.items():
        if one.values.shape[:2] != (height, width):
            raise DataError(f"{one.path}: shape {one.values.shape}, but its image is {height}x{width}")
        match name:
            case "image":
                arrays.image_of(one, (height, width))
            case "semantic":
                arrays.semantic_of(one, (height, width), len(layout.classes))
            case "depth":
                arrays.depth_of(one, (height, width), layout.depth_unit)
            case "normal":
                arrays.normal_of(one, (height, width))
