"""Which images of a user's data are for training and which for testing."""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rdc_sweeps.data.importing.files import Key
from rdc_sweeps.data.importing.source import Split
from rdc_sweeps.errors import DamagedError, DataError
from rdc_sweeps.files import read_file
from rdc_sweeps.specs.importing import FolderSplit, FractionSplit, ListSplit


def divided(
    keys: Sequence[Key], split: FolderSplit | ListSplit | FractionSplit, root: Path
) -> Mapping[Split, tuple[Key, ...]]:
    """The training and the test images, in the order in which they are written.

    Args:
        keys: All images, sorted.
        split: How they are divided.
        root: Folder of lists.

    Raises:
        DataError: A split has no images, or a list has names that do not exist.
    """
    match split:
        case FolderSplit():
            chosen = _by_folder(keys, split)
        case ListSplit():
            chosen = _by_list(keys, split, root)
        case FractionSplit():
            chosen = _by_fraction(keys, split)
    for name, found in chosen.items():
        if not found:
            raise DataError(f"split: there are no images for {'training' if name == 'train' else 'testing'}")
    return chosen


def _by_folder(keys: Sequence[Key], split: FolderSplit) -> dict[Split, tuple[Key, ...]]:
    there = sorted({key.split for key in keys})
    if absent := [name for name in (*split.train, *split.test) if name not in there]:
        raise DataError(f"split: no files of {absent[0]!r}; {{split}} is {', '.join(there)} in the names of files")
    return {
        "train": tuple(key for key in keys if key.split in split.train),
        "val": tuple(key for key in keys if key.split in split.test),
    }


def _by_list(keys: Sequence[Key], split: ListSplit, root: Path) -> dict[Split, tuple[Key, ...]]:
    by_name = {str(key): key for key in keys}
    chosen: dict[Split, tuple[Key, ...]] = {}
    places: dict[str, str] = {}
    problems = []
    for name, file in (("train", split.train), ("val", split.test)):
        path = root / file
        found = []
        for number, line in enumerate(_lines(path), 1):
            if not (text := unicodedata.normalize("NFC", line.strip())):
                continue
            if text not in by_name:
                problems.append(f"{path}:{number}: there is no image {text!r}")
            elif text in places:
                problems.append(f"{path}:{number}: {text!r} is also at {places[text]}")
            else:
                found.append(by_name[text])
            places.setdefault(text, f"{path}:{number}")
        chosen["train" if name == "train" else "val"] = tuple(found)
    if problems:
        raise DataError("\n".join([*problems, f"write one image per line, as {next(iter(by_name))}"]))
    return chosen


def _lines(path: Path) -> list[str]:
    try:
        return read_file(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, DamagedError) as error:
        raise DataError(f"{path}: the list cannot be read: {error}") from error


def _by_fraction(keys: Sequence[Key], split: FractionSplit) -> dict[Split, tuple[Key, ...]]:
    # Images of one scene show the same things, so that a test on some after training on others would prove little.
    groups: dict[str, list[Key]] = {}
    for key in keys:
        groups.setdefault(key.scene or key.name, []).append(key)
    if len(groups) < 2:
        raise DataError(f"split: all {len(keys)} images are of one scene, which cannot be divided; use lists")
    names = list(groups)
    wanted = split.test * len(keys)
    test: set[str] = set()
    count = 0
    for place in np.random.default_rng(split.seed).permutation(len(names)).tolist():
        size = len(groups[names[place]])
        # A group is taken if that brings the count nearer to what is wanted.
        if len(test) < len(names) - 1 and abs(count + size - wanted) < abs(count - wanted):
            test.add(names[place])
            count += size
    test = test or {min(names, key=lambda name: len(groups[name]))}
    return {
        "train": tuple(key for name, group in groups.items() if name not in test for key in group),
        "val": tuple(key for name, group in groups.items() if name in test for key in group),
    }
