"""Cityscapes (Cordts et al. 2016) as published with MTAN: 7 classes, and disparity in place of depth."""

from pathlib import Path

from rdc_sweeps.data.mtan import MtanFolder, MtanLayout, open_mtan_splits
from rdc_sweeps.specs.dataset import CITYSCAPES_CLASSES, CityscapesSpec

SETTING = "RDC_SWEEP_CITYSCAPES_ROOT (cityscapes_root in rdc-sweep.toml)"
LAYOUT = MtanLayout(CITYSCAPES_CLASSES, {"semantic": "label_7", "depth": "depth"})


def open_cityscapes(spec: CityscapesSpec, root: Path | None, cache: Path) -> tuple[MtanFolder, MtanFolder]:
    """The training split and the test split (`val` in this layout).

    Raises:
        DataError: `root` is not set, or does not hold the data set.
    """
    return open_mtan_splits("Cityscapes", LAYOUT, spec.size, root, SETTING)
