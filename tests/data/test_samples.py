"""The look at a few images before training."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rdc_sweeps.data.mtan import NYUV2_LAYOUT, MtanFolder, open_mtan
from rdc_sweeps.data.samples import check_samples
from rdc_sweeps.errors import DataError

WriteMtan = Callable[..., Path]
VOID = {"semantic": ("label", -1), "depth": ("depth", 0), "normal": ("normal", 0)}


def opened(root: Path) -> MtanFolder:
    return open_mtan(root / "train", NYUV2_LAYOUT, (32, 64), "SETTING")


def test_sound_images_pass(write_mtan: WriteMtan) -> None:
    check_samples(opened(write_mtan()), None, "images")


@pytest.mark.parametrize("task", VOID)
def test_a_split_without_any_label_of_a_task_is_an_error(write_mtan: WriteMtan, task: str) -> None:
    root = write_mtan()
    folder, void = VOID[task]
    for path in sorted((root / "train" / folder).iterdir()):
        np.save(path, np.full_like(np.load(path), void))
    dataset = opened(root)
    with pytest.raises(DataError, match=f"^images: none of the 6 {task} labels has a valid pixel"):
        check_samples(dataset, None, "images")
    # Labels that training may not use do not count, and are not read.
    mask = np.tile([task != other for other in dataset.tasks], (6, 1))
    check_samples(dataset, mask, "images")


def test_a_single_label_is_enough(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    for path in sorted((root / "train/depth").iterdir())[:-1]:
        np.save(path, np.zeros_like(np.load(path)))
    check_samples(opened(root), None, "images")


def test_depth_in_millimetres_is_found(write_mtan: WriteMtan) -> None:
    root = write_mtan()
    for path in (root / "train/depth").iterdir():
        np.save(path, (np.load(path) * 1000).astype(np.uint16))
    with pytest.raises(DataError, match="divide by 1000"):
        check_samples(opened(root), None, "images")
