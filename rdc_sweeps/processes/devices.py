"""GPUs of processes: the number of processes that train a run, and the GPUs that each of them sees."""

import math
import os
from collections.abc import Sequence

from rdc_sweeps.errors import UsageError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def processes_per_run(gpus_per_run: float) -> int:
    """Number of processes that train a run: one per GPU, or one if it has a part of a GPU.

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
        count: Number of GPUs that this process sees.
        mask: CUDA_VISIBLE_DEVICES of this process: indices, UUIDs or None.
    """
    names = [name.strip() for name in (mask or "").split(",")]
    # CUDA sees the GPUs listed before the first name that it does not know.
    return names[:count] if len(names) >= count and names[0] else [str(index) for index in range(count)]


def device_masks(gpus: Sequence[str], gpus_per_run: float) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each of the runs that fit at once; runs that share a GPU are far apart in the list.

    Args:
        gpus: Names of the GPUs.
        gpus_per_run: GPUs of each run; if it is at most a half, several runs share one GPU.

    Raises:
        UsageError: A run needs more than there are, or not a sensible number.
    """
    each = processes_per_run(gpus_per_run)
    if each > len(gpus):
        raise UsageError(f"gpus_per_run: {each} GPUs, but this machine shows {len(gpus)}")
    if gpus_per_run >= 1:
        return [",".join(gpus[first : first + each]) for first in range(0, len(gpus) - each + 1, each)]
    # As 1 / 0.1 may be a bit less than 10.
    return [name for _ in range(math.floor(1 / gpus_per_run * (1 + 1e-9))) for name in gpus]


def slot_masks(gpus: int, gpus_per_run: float, slots: int) -> list[str | None]:
    """The mask of each of `slots` processes that train at once on this machine's GPUs; None for the CPU.

    Args:
        gpus: Number of GPUs to use; 0 for the CPU.
        gpus_per_run: See `device_masks`.
        slots: Number of processes that train at once.

    Raises:
        UsageError: See `device_masks`.
    """
    if not gpus:
        return [None] * slots
    masks = device_masks(visible_gpus(gpus, os.environ.get(VISIBLE)), gpus_per_run)
    return [masks[slot % len(masks)] for slot in range(slots)]


def restrict_to(mask: str | None) -> None:
    """Let this process see only the GPUs of a mask; to be called before CUDA is used. None changes nothing."""
    if mask is not None:
        os.environ[VISIBLE] = mask
