"""Which run gets which GPUs: arithmetic alone."""

import math
from collections.abc import Sequence

from rdc_sweeps.errors import UsageError


def processes(gpus_per_run: float) -> int:
    """How many processes train a run: one for each of its GPUs, or one if it has a part of a GPU.

    Raises:
        UsageError: Neither a whole number nor a part of one.
    """
    if not gpus_per_run > 0 or (gpus_per_run > 1 and gpus_per_run % 1):
        raise UsageError(
            f"gpus_per_run: {gpus_per_run:g} GPUs; a run has whole ones (1, 2, ...) or a part of one (0.5: two share)"
        )
    return max(1, int(gpus_per_run))


def visible_gpus(count: int, mask: str | None) -> list[str]:
    """The names of `count` GPUs for CUDA_VISIBLE_DEVICES.

    Args:
        count: How many this process sees.
        mask: What CUDA_VISIBLE_DEVICES is to this process: indices or UUIDs, or None.
    """
    names = [name.strip() for name in (mask or "").split(",")]
    # CUDA sees what is listed before the first name that it does not know.
    return names[:count] if len(names) >= count and names[0] else [str(index) for index in range(count)]


def device_masks(gpus: Sequence[str], gpus_per_run: float) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each of the runs that fit at once; runs that share a GPU are far apart in the list.

    Args:
        gpus: Names of the GPUs.
        gpus_per_run: How many each run has; several runs share one if it is at most a half.

    Raises:
        UsageError: A run needs more than there are, or not a sensible number.
    """
    each = processes(gpus_per_run)
    if each > len(gpus):
        raise UsageError(f"gpus_per_run: {each} GPUs, but this machine shows {len(gpus)}")
    if gpus_per_run >= 1:
        return [",".join(gpus[first : first + each]) for first in range(0, len(gpus) - each + 1, each)]
    # As 1 / 0.1 may be a bit less than 10.
    return [name for _ in range(math.floor(1 / gpus_per_run * (1 + 1e-9))) for name in gpus]
