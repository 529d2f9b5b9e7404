"""The audit of a root: measures all scenes once, and runs all checks on the measures."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rdc_sweeps.data.checking import classes, contents, frames, relations
from rdc_sweeps.data.checking.expectations import (
    CITYSCAPES,
    CITYSCAPES_19,
    EXPECTATIONS,
    NYUV2,
    NYUV2_40,
    Expectation,
    own_expectation,
)
from rdc_sweeps.data.checking.findings import Check, DataCheck
from rdc_sweeps.data.checking.scenes import SceneMeasures, measure_scene
from rdc_sweeps.data.checking.split import SplitMeasures
from rdc_sweeps.data.importing.record import begun_import, check_finished
from rdc_sweeps.data.mtan import find_files, open_mtan
from rdc_sweeps.data.provenance import SplitRecord
from rdc_sweeps.errors import DataError, UsageError
from rdc_sweeps.processes.workers import map_in_workers, worker_count

Progress = Callable[[str, int, int], None]
"""Called with the title of what is counted, how much of it is done, and the total."""

SPLITS = {"train": "train", "val": "test"}
"""Folders of the splits, and how runs call them in their record of the data."""


def check_root(
    root: Path, dataset: str | None = None, *, workers: int | None = None, progress: Progress | None = None
) -> DataCheck:
    """Check a root in MTAN's layout; nothing is changed.

    Args:
        root: The folder with train/ and val/.
        dataset: What it is compared with, one of `EXPECTATIONS`; None: what the root was imported as, or else NYU-V2 or
            Cityscapes by its folder of labels.
        workers: Number of processes; None: one for each core that this process may use.
        progress: Called after each scene.

    Raises:
        UsageError: There is no such data set.
        DataError: There is no such folder, it has no data set, or its import is unfinished.
    """
    workers = worker_count(workers)
    expectation = expectation_of(root, dataset)
    check_finished(root)
    train, test = (measure_split(root, name, expectation, workers, progress) for name in SPLITS)
    return DataCheck(
        root=str(root),
        dataset=expectation.name,
        folders=expectation.folders,
        grid=expectation.grid,
        checks=checks_of(train, test),
        fingerprints=_fingerprints(root, expectation),
    )


def checks_of(train: SplitMeasures, test: SplitMeasures) -> tuple[Check, ...]:
    """All checks, from what was measured."""
    splits = (train, test)
    kinds = tuple(train.expectation.folders)
    return (
        contents.check_counts(splits),
        contents.check_names(splits),
        contents.check_arrays(splits),
        contents.check_resolutions(splits),
        *(contents.check_values(splits, kind) for kind in kinds),
        classes.check_shares(splits),
        classes.check_places(splits),
        *((frames.check_frame(splits),) if "normal" in kinds else ()),
        relations.check_mirrored(splits),
        relations.check_order(splits),
        relations.check_exchanged(splits),
        relations.check_leaks(splits),
        relations.check_copies(splits),
    )


def expectation_of(root: Path, dataset: str | None) -> Expectation:
    """What a root is compared with; see `check_root`.

    Raises:
        UsageError: There is no such data set.
        DataError: There is no such folder, or it has no data set.
    """
    if dataset is not None:
        if dataset not in EXPECTATIONS:
            raise UsageError(f"no data set {dataset!r} to compare with. Available: {', '.join(EXPECTATIONS)}")
        return EXPECTATIONS[dataset]
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; name the folder that holds train/ and val/")
    # Only the import of a user's own data describes each kind of file.
    if (description := begun_import(root)) is not None and "image" in description:
        try:
            return own_expectation(description)
        except (KeyError, TypeError) as error:
            raise DataError(f"{root}: the record of its import is damaged ({error}); import again") from error
    for one in (CITYSCAPES, CITYSCAPES_19, NYUV2, NYUV2_40):
        if any((root / split / one.layout.labels["semantic"]).is_dir() for split in SPLITS):
            return one
    raise DataError(
        f"{root}: no data set; name the folder that holds train/ and val/, each with image/, depth/ and label/ "
        "or label_40/ (NYU-V2), label_7/ or label_19/ (Cityscapes)"
    )


def measure_split(
    root: Path, name: str, expectation: Expectation, workers: int, progress: Progress | None
) -> SplitMeasures:
    """Measure all scenes of a split in worker processes.

    Args:
        root: The folder with train/ and val/.
        name: `train` or `val`.
        expectation: The data set.
        workers: Number of processes.
        progress: Called after each scene.
    """
    try:
        count, problems = find_files(root / name, expectation.layout, "ROOT")
    except DataError as error:
        return SplitMeasures(name, expectation, tuple(str(error).splitlines()), ())
    scenes: list[SceneMeasures] = []
    measure = partial(measure_scene, expectation, root / name)
    for scene in map_in_workers(measure, range(count), min(workers, count)):
        scenes.append(scene)
        if progress:
            progress(f"{name} scenes", len(scenes), count)
    return SplitMeasures(name, expectation, tuple(problems), tuple(sorted(scenes, key=lambda one: one.index)))


def _fingerprints(root: Path, expectation: Expectation) -> dict[str, SplitRecord]:
    """Of the splits that can be opened for training."""
    found = {}
    for folder, name in SPLITS.items():
        try:
            found[name] = open_mtan(root / folder, expectation.layout, expectation.grid, "ROOT").fingerprint()
        except DataError:
            continue  # told by the checks of names and arrays
    return found
