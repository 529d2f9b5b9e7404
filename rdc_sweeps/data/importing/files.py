"""Files of images and labels, found by a pattern of their names and matched with each other."""

import csv
import io
import os
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from rdc_sweeps.data.importing.source import Split
from rdc_sweeps.errors import DataError
from rdc_sweeps.files import write_atomically
from rdc_sweeps.specs.importing import PLACEHOLDER
from rdc_sweeps.texts import csv_cell

INDEX = "index.csv"
"""In the root of an imported data set: which file is which image."""


class Key(NamedTuple):
    """What the names of an image and of its labels have in common; empty where a pattern lacks the placeholder."""

    split: str
    scene: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


def natural_order(key: Key) -> tuple[list[list[int | str]], Key]:
    """Sorts keys as people do: 9 before 10. No two keys are equal in it, as 1 and 01 would be as numbers."""
    # A split by numbers begins with text and alternates, so that texts are compared with texts.
    return [[int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", one)] for one in key], key


def find_files(folder: Path, pattern: str, within: Path | None = None) -> dict[Key, Path]:
    """All files whose names below a folder match a pattern, in the order of their keys.

    Names are compared in Unicode's composed form, since macOS stores the decomposed one. Hidden files are skipped.

    Args:
        folder: Where to search, also in its subfolders.
        pattern: With {name}, {scene}, {split} and *; see `specs.importing.Modality`.
        within: Links must lead to something in this folder; None: they may lead anywhere.

    Raises:
        DataError: The folder does not exist, two files have the same key, or a link leads elsewhere.
    """
    # What stands before the first placeholder is a folder.
    fixed = PurePosixPath(re.split(r"[{*]", pattern)[0] + "x").parent
    start = folder / fixed
    if not start.is_dir():
        raise DataError(f"{start}: no such folder")
    limit = within.resolve() if within else None
    _check_link(start, limit)
    expression = re.compile(_expression(unicodedata.normalize("NFC", pattern)))
    found: dict[Key, Path] = {}
    problems = []
    for path in _files(start, limit, ()):
        relative = unicodedata.normalize("NFC", path.relative_to(folder).as_posix())
        if match := expression.fullmatch(relative):
            key = Key(**{"split": "", "scene": "", **match.groupdict()})
            if (other := found.setdefault(key, path)) != path:
                problems.append(f"{other} and {path}: both are {key}; keep one of them")
    if problems:
        raise DataError("\n".join(problems))
    return {key: found[key] for key in sorted(found, key=natural_order)}


def check_complete(
    found: Mapping[str, Mapping[Key, Path]], patterns: Mapping[str, str], optional: Collection[str] = ()
) -> None:
    """Check that each key has a file of each kind.

    Args:
        found: The files of each kind, such as `image` and `semantic`.
        patterns: Their patterns, including the folder, for messages.
        optional: Kinds that may lack some of the keys.

    Raises:
        DataError: Lists every file that is missing, or a kind without any file.
    """
    empty = [f"{PLACEHOLDER.sub('*', patterns[kind])}: no such files" for kind, files in found.items() if not files]
    if empty:
        raise DataError("\n".join(empty))
    missing = [
        (kind, key)
        for key in sorted(set().union(*found.values()), key=natural_order)
        for kind, files in found.items()
        if key not in files and kind not in optional
    ]
    if missing:
        lines = [f"{_filled(patterns[kind], key)}: no such file" for kind, key in missing]
        what = "1 file is" if len(lines) == 1 else f"{len(lines)} files are"
        raise DataError("\n".join([*lines, f"{what} missing; restore them, or remove the others of these images"]))


def write_index(root: Path, keys: Mapping[Split, Sequence[Key]]) -> None:
    """Write which image was imported as which file into the root of a data set."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("split", "file", "image"))
    for split, found in keys.items():
        lines.writerows((split, f"{index}.npy", csv_cell(str(key))) for index, key in enumerate(found))
    write_atomically(root / INDEX, lambda file: file.write(text.getvalue().encode()))


def _filled(pattern: str, key: Key) -> str:
    return PLACEHOLDER.sub(lambda found: str(getattr(key, found[1])), pattern)


def _expression(pattern: str) -> str:
    groups = {"name": "(?P<name>.+)", "scene": "(?P<scene>[^/]+?)", "split": "(?P<split>[^/]+?)"}
    parts = re.split(r"(\{\w+\}|\*)", pattern)
    return "".join("[^/]*" if part == "*" else groups.get(part[1:-1], re.escape(part)) for part in parts)


def _files(folder: Path, within: Path | None, above: tuple[Path, ...]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:
        return  # a link to a folder that contains it
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if not entry.name.isprintable():
            raise DataError(f"{str(path)!r}: its name has characters that cannot be printed; rename it")
        if entry.is_symlink():
            _check_link(path, within)
        if entry.is_dir():
            yield from _files(path, within, (*above, real))
        elif entry.is_file():
            yield path


def _check_link(path: Path, within: Path | None) -> None:
    if within is not None and not (real := path.resolve()).is_relative_to(within):
        raise DataError(f"{path}: leads to {real}, outside of {within}; set root to a folder above both")
