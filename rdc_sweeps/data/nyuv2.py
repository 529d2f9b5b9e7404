"""NYU-V2 (Silberman et al. 2012) as published with MTAN."""

from pathlib import Path

from rdc_sweeps.data.mtan import MtanFolder, MtanLayout, open_mtan_splits
from rdc_sweeps.specs.dataset import NYU_CLASSES, NyuV2Spec

SETTING = "RDC_SWEEP_NYUV2_ROOT (nyuv2_root in rdc-sweep.toml)"
LAYOUT = MtanLayout(NYU_CLASSES, {"semantic": "label", "depth": "depth", "normal": "normal"})


def open_nyuv2(spec: NyuV2Spec, root: Path | None, cache: Path) -> tuple[MtanFolder, MtanFolder]:
    """The training split and the test split (`val` in this layout).

    Raises:
        DataError: `root` is not set, or does not hold the data set.
    """
    return open_mtan_splits("NYU-V2", LAYOUT, spec.size, root, SETTING)
