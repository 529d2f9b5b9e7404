"""The label setting of images that really lack labels, written beside the data."""

from pathlib import Path

import numpy as np

from rdc_sweeps.data.importing.own import OwnSource
from rdc_sweeps.data.label_settings import KEY, other_meaning
from rdc_sweeps.files import write_atomically

FOLDER = "label_settings"
"""In the root of the data set; the setting `label_settings_root` names it."""


def write_label_setting(root: Path, source: OwnSource) -> tuple[str, str | None]:
    """Write which training images have which labels into the root of a data set.

    Returns:
        The name of the setting, and why no setting can describe these images; None if it was written.
    """
    import torch

    tasks = source.spec.tasks
    mask = np.array(
        [[task in source.labelled("train", index) for task in tasks] for index in range(source.counts["train"])]
    )
    name = "onelabel" if len(tasks) == 2 or (mask.sum(axis=1) == 1).all() else "randomlabels"
    if problem := other_meaning(mask, name, tasks):
        return name, problem
    path = root / FOLDER / f"{source.spec.name}_settings" / f"{name}.pth"
    content = {KEY: torch.as_tensor(mask).float()}
    write_atomically(path, lambda file: torch.save(content, file))
    return name, None
