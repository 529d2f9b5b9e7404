"""Label settings: which images have labels for which tasks (Li et al., CVPR 2022)."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.dataset import DatasetSpec, LabelSpec

_SETTING = "RDC_SWEEP_LABEL_SETTINGS_ROOT (label_settings_root in rdc-sweep.toml)"
KEY = "labels_weights"
"""Under which a file has its tensor (images, K)."""

_STREAM = 0x1ABE1
"""Key that separates this random stream from others with the same seed."""


def label_mask(spec: LabelSpec, dataset: DatasetSpec, images: int, *, root: Path | None) -> NDArray[np.bool_]:
    """Compute which labels each image of the training split is granted.

    Args:
        spec: The label setting.
        dataset: The data set, whose tasks are the columns.
        images: Number of images in the whole training split.
        root: Folder of the published files.

    Returns:
        (images, K) bool.

    Raises:
        DataError: A published file is missing, damaged or made for another data set.
    """
    tasks = len(dataset.tasks)
    if spec.setting == "full":
        return np.ones((images, tasks), dtype=np.bool_)
    if spec.origin == "published":
        return _published(spec.setting, dataset, images, root)
    generator = np.random.default_rng(np.random.SeedSequence((_STREAM, spec.seed)))
    if spec.setting == "onelabel" or tasks == 2:
        return _one_label(images, tasks, generator)
    return _random_labels(images, tasks, generator)


def _one_label(images: int, tasks: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """One label per image; the tasks' label counts differ by at most one."""
    granted = np.arange(images) % tasks
    generator.shuffle(granted)
    mask: NDArray[np.bool_] = granted[:, None] == generator.permutation(tasks)
    return mask


def _random_labels(images: int, tasks: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """1 to K - 1 labels per image, all counts and all choices equally likely."""
    number = generator.integers(1, tasks, size=(images, 1))
    return generator.permuted(np.tile(np.arange(tasks), (images, 1)), axis=1) < number


def setting_digest(spec: LabelSpec, dataset: DatasetSpec, images: int, *, root: Path | None) -> str:
    """A digest of a label setting: of the file if it is published, else of the mask; see `label_mask`.

    Raises:
        DataError: The published file is missing.
    """
    if spec.setting != "full" and spec.origin == "published":
        content = _file(spec.setting, dataset, root).read_bytes()
    else:
        content = label_mask(spec, dataset, images, root=root).tobytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _file(setting: str, dataset: DatasetSpec, root: Path | None) -> Path:
    if root is None:
        raise DataError(
            f"labels.origin is 'published', but the folder of the published label settings is not set; "
            f"set {_SETTING}, or set labels.origin to generated"
        )
    # With two tasks, 1 to K - 1 labels means one label, so both settings share one file.
    file = "onelabel" if len(dataset.tasks) == 2 else setting
    path = root / f"{dataset.name}_settings" / f"{file}.pth"
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; {_SETTING} must name the folder that holds {path.parent.name}/{path.name}, "
            "or set labels.origin to generated"
        )
    return path


def _published(setting: str, dataset: DatasetSpec, images: int, root: Path | None) -> NDArray[np.bool_]:
    # Imported here, so that a digest needs no PyTorch.
    import torch

    path = _file(setting, dataset, root)
    again = "download it again, or set labels.origin to generated"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # A damaged file fails in whatever way its parser does.
        raise DataError(f"{path}: damaged, or contains more than tensors; {again}") from error
    weights = content.get(KEY) if isinstance(content, dict) else None
    if not isinstance(weights, torch.Tensor):
        raise DataError(f"{path}: has no tensor {KEY!r}; {again}")
    tasks = len(dataset.tasks)
    if weights.ndim != 2 or weights.shape[1] != tasks:
        raise DataError(
            f"{path}: shape {tuple(weights.shape)}, expected one line per image and {tasks} columns "
            f"({', '.join(dataset.tasks)}); {again}"
        )
    if weights.shape[0] != images:
        raise DataError(
            f"{path}: is for {weights.shape[0]} images, but the training split has {images}; "
            "use the complete data set it was published for, or set labels.origin to generated"
        )
    try:
        values = weights.numpy()
    except Exception as error:  # Sparse or quantized tensors, or a type that NumPy lacks.
        raise DataError(f"{path}: {KEY} is no ordinary tensor ({error}); {again}") from error
    if not ((values == 0) | (values == 1)).all():
        raise DataError(f"{path}: contains values other than 0 and 1; {again}")
    mask: NDArray[np.bool_] = values == 1
    if problem := other_meaning(mask, path.stem, dataset.tasks):
        raise DataError(f"{path}: {problem}; {again}")
    return mask


def other_meaning(mask: NDArray[np.bool_], setting: str, names: Sequence[Task]) -> str | None:
    """Why a mask (images, K) of these tasks is not of this setting; None if it can be."""
    labels, tasks = mask.sum(axis=1), len(names)
    low, high = (1, 1) if setting == "onelabel" else (1, tasks - 1)
    wrong = (labels < low) | (labels > high)
    if wrong.any():
        image = int(wrong.argmax())
        expected = "1 label" if high == 1 else f"{low} to {high} labels"
        return (
            f"{int(wrong.sum())} of {len(mask)} images have not {expected} as {setting!r} means "
            f"(image {image} has {int(labels[image])})"
        )
    if setting == "randomlabels" and len(mask) > 1 and (labels == labels[0]).all():
        return f"all images have {int(labels[0])} of {tasks} labels, so this is not {setting!r}; are files swapped?"
    if absent := [name for name, there in zip(names, mask.sum(axis=0), strict=True) if not there]:
        return f"no image has a label for {' or '.join(absent)}"
    return None
