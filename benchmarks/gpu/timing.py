"""Times and peak memory of calls on a GPU or a CPU."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

GIB = 2**30

WARM_UP = 2
"""Calls before those that count: they compile kernels, fill caches and make the optimiser's moments."""


@dataclass(frozen=True)
class Cost:
    """Of one call.

    Attributes:
        seconds: The median.
        bytes: Peak of what is allocated on a GPU; None on a CPU.
    """

    seconds: float
    bytes: int | None

    @property
    def gib(self) -> float | None:
        """The peak in GiB."""
        return None if self.bytes is None else self.bytes / GIB


def cost(call: Callable[[], object], device: torch.device, repeats: int) -> Cost | None:
    """The cost of a call, by CUDA's events on a GPU; None if there is not enough memory."""
    try:
        return _on_gpu(call, device, repeats) if device.type == "cuda" else _on_cpu(call, repeats)
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None


def _on_gpu(call: Callable[[], object], device: torch.device, repeats: int) -> Cost:
    for _ in range(WARM_UP):
        call()
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    for begin, end in events:
        begin.record()
        call()
        end.record()
    torch.cuda.synchronize(device)
    milliseconds = statistics.median(begin.elapsed_time(end) for begin, end in events)
    return Cost(milliseconds / 1000, torch.cuda.max_memory_allocated(device))


def _on_cpu(call: Callable[[], object], repeats: int) -> Cost:
    for _ in range(WARM_UP):
        call()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return Cost(statistics.median(seconds), None)
