"""Faults planted in copies of a good root, as they happen when data sets are written, copied and renamed."""

import io
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Values = NDArray[Any]
Fault = Callable[[Path], None]
"""Plants a fault in a root."""

SPLITS = ("train", "val")


def copy_root(source: Path, target: Path) -> Path:
    """A copy whose files may be replaced, but not written into, since they are links to the source's."""
    shutil.copytree(source, target, copy_function=os.link)
    return target


def replace(path: Path, values: Values) -> None:
    """Write an array in place of a linked file."""
    path.unlink()
    np.save(path, values)


def changed(folder: str, change: Callable[[Values], Values], splits: tuple[str, ...] = SPLITS) -> Fault:
    """Change the values of all files of a kind."""

    def plant(root: Path) -> None:
        for split in splits:
            for path in (root / split / folder).iterdir():
                replace(path, change(np.load(path)))

    return plant


def changed_file(path: str, change: Callable[[Values], Values]) -> Fault:
    """Change the values of one file."""
    return lambda root: replace(root / path, change(np.load(root / path)))


def copied(folder: str, source: int, target: int) -> Fault:
    """Write a training file again in place of another."""
    return lambda root: replace(
        root / "train" / folder / f"{target}.npy", np.load(root / "train" / folder / f"{source}.npy")
    )


def striped(folder: str, indices: range) -> Fault:
    """Write vertical stripes in place of some training labels."""

    def plant(root: Path) -> None:
        for index in indices:
            path = root / "train" / folder / f"{index}.npy"
            shape = np.load(path).shape
            replace(path, np.broadcast_to((np.arange(shape[1]) // (index + 4) % 2 + 5).astype(np.int16), shape))

    return plant


def mirrored(folder: str, *, negated: bool = False, splits: tuple[str, ...] = SPLITS) -> Fault:
    """Mirror a kind of map, and perhaps negate x as one should for normals."""
    sign = np.array([-1, 1, 1]) if negated else np.array(1)
    return changed(folder, lambda values: values[:, ::-1] * sign.astype(values.dtype), splits)


def negated(axis: int) -> Fault:
    """Negate a component of the normals."""
    return changed("normal", lambda values: values * np.where(np.arange(3) == axis, -1, 1).astype(np.float32))


def both(first: Fault, second: Fault) -> Fault:
    """Plant two faults."""

    def plant(root: Path) -> None:
        first(root)
        second(root)

    return plant


def exchanged(folder: str, one: int, other: int, split: str = "train") -> Fault:
    """Let two files change places."""

    def plant(root: Path) -> None:
        paths = [root / split / folder / f"{index}.npy" for index in (one, other)]
        first, second = (np.load(path) for path in paths)
        replace(paths[0], second)
        replace(paths[1], first)

    return plant


def reordered(folder: str, order: Callable[[int], list[int]], splits: tuple[str, ...] = ("train",)) -> Fault:
    """Let file i of a folder have the content of file `order(count)[i]`."""

    def plant(root: Path) -> None:
        for split in splits:
            place = root / split / folder
            contents = [np.load(place / f"{index}.npy") for index in range(len(list(place.iterdir())))]
            for index, source in enumerate(order(len(contents))):
                replace(place / f"{index}.npy", contents[source])

    return plant


def by_name(count: int) -> list[int]:
    """The order in which a shell lists the files: 0, 1, 10, 100, ..."""
    return sorted(range(count), key=str)


def shuffled(count: int) -> list[int]:
    """A random order."""
    order = list(range(count))
    random.Random(3).shuffle(order)
    return order


def moved(count: int) -> list[int]:
    """File i has what belongs to i + 1."""
    return [*range(1, count), 0]


def truncated(path: str) -> Fault:
    """Cut a file in the middle."""

    def plant(root: Path) -> None:
        content = (root / path).read_bytes()
        (root / path).unlink()
        (root / path).write_bytes(content[: len(content) // 2])

    return plant


def pickled(path: str) -> Fault:
    """Write a file of objects."""

    def plant(root: Path) -> None:
        (root / path).unlink()
        np.save(root / path, np.array([{"depth": 1}], dtype=object), allow_pickle=True)

    return plant


def leaked(test: int, train: int, *, altered: bool = False) -> Fault:
    """Put a test image among the training images, perhaps brightened, resized and compressed."""

    def plant(root: Path) -> None:
        image = np.load(root / "val" / "image" / f"{test}.npy")
        replace(root / "train" / "image" / f"{train}.npy", _altered(image) if altered else image)

    return plant


def _altered(image: Values) -> Values:
    height, width = image.shape[:2]
    picture = Image.fromarray(np.round(np.clip(image * 1.1, 0, 1) * 255).astype(np.uint8))
    picture = picture.resize((width * 4 // 5, height * 4 // 5), Image.Resampling.BICUBIC).resize((width, height))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=70)
    return (np.asarray(Image.open(content)) / np.float32(255)).astype(np.float32)


def one_more(values: Values) -> Values:
    """Labels that are one too high, void too."""
    return values + 1


def one_more_but_void(values: Values) -> Values:
    """Labels that are one too high; void is still -1, and the last class has become 13."""
    return np.where(values >= 0, values + 1, values)


def one_less(values: Values) -> Values:
    """Labels that are one too low; the first class has become void."""
    return np.where(values >= 0, values - 1, values)
