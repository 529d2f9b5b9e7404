"""NYU-V2 (Silberman et al. 2012) as published with MTAN."""

from pathlib import Path

from rdc_sweeps.data.mtan import MtanFolder, MtanLayout, open_mtan
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.dataset import NYU_CLASSES, NyuV2Spec

SETTING = "RDC_SWEEP_NYUV2_ROOT (nyuv2_root in rdc-sweep.toml)"
LAYOUT = MtanLayout(NYU_CLASSES, {"semantic": "label", "depth": "depth", "normal": "normal"})


def open_nyuv2(spec: NyuV2Spec, root: Path | None, cache: Path) -> tuple[MtanFolder, MtanFolder]:
    """The training split and the test split (`val` in this layout).

    Raises:
        DataError: `root` is not set, or does not hold the data set.
    """
    if root is None:
        raise DataError(f"NYU-V2: its folder is not known; set {SETTING} to the folder that holds train/ and val/")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; set {SETTING} to the folder that holds train/ and val/")
    train, test = (open_mtan(root / split, LAYOUT, spec.size, SETTING) for split in ("train", "val"))
    return train, test
