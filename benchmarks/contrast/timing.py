"""Paired timing and peak memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def interleaved(candidates: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each candidate, `repeats` times in turn after an untimed call, so that drift affects all equally."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for run in range(repeats + 1):
        for name, candidate in candidates.items():
            start = time.perf_counter()
            candidate()
            if run:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Median seconds per candidate."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def paired_ratio(numerator: list[float], denominator: list[float]) -> float:
    """Median of the ratios of runs timed next to each other."""
    return statistics.median(a / b for a, b in zip(numerator, denominator, strict=True))


def reset_peak() -> None:
    """Reset the peak of resident memory to its current value (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Peak of resident memory since the last reset."""
    return _status("VmHWM")


def resident_bytes() -> int:
    """Current resident memory."""
    return _status("VmRSS")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
