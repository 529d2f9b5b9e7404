"""(d) Time and peak memory against pixels, regions, channels and images, with fitted exponents."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

import numpy as np
import torch

from benchmarks.contrast.loss import step
from benchmarks.contrast.scenes import features, voronoi
from benchmarks.contrast.timing import peak_bytes, reset_peak, resident_bytes
from rdc_sweeps.specs.contrast import GaussianContrast

BASE = {"images": 1, "channels": 32, "height": 144, "regions": 30}
AXES: dict[str, list[int]] = {
    "pixels": [72, 144, 288, 432, 576],
    "regions": [16, 32, 64, 128, 192],
    "channels": [8, 16, 32, 64, 96],
    "images": [1, 2, 4, 8],
}


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per axis. Each axis is measured in a separate process, whose memory is otherwise unused."""
    context = multiprocessing.get_context("spawn")
    rows = []
    for axis, values in AXES.items():
        with context.Pool(1) as pool:
            points = pool.apply(
                _measure, (axis, values[:3] if quick else values, 1 if quick else 5, torch.get_num_threads())
            )
        rows.append({"axis": axis, "points": points, **_exponents(points)})
    return rows


def _measure(axis: str, values: list[int], repeats: int, threads: int) -> list[dict[str, float]]:
    torch.set_num_threads(threads)
    _once({**BASE, "height": 24, "regions": 4})
    start = resident_bytes()
    points = []
    for value in values:
        shape = {**BASE, ("height" if axis == "pixels" else axis): value}
        inputs = _inputs(shape)
        reset_peak()
        before = resident_bytes()
        seconds = []
        for _ in range(repeats):
            begin = time.perf_counter()
            step(*inputs, GaussianContrast())
            seconds.append(time.perf_counter() - begin)
        size = value * (value * 4 // 3) if axis == "pixels" else value
        points.append({"value": size, "seconds": float(np.median(seconds)), "bytes": peak_bytes() - min(start, before)})
    return points


def _inputs(shape: dict[str, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    height, width = shape["height"], shape["height"] * 4 // 3
    one, other = (features(shape["images"], shape["channels"], height, width, seed=seed) for seed in (1, 2))
    return one, other, voronoi(shape["images"], height, width, shape["regions"])


def _once(shape: dict[str, int]) -> None:
    step(*_inputs(shape), GaussianContrast())


def _exponents(points: list[dict[str, float]]) -> dict[str, float]:
    """Log-log slopes of the larger half of the points, where fixed costs matter least."""
    upper = points[len(points) // 2 - 1 :]
    values = np.log([p["value"] for p in upper])
    return {
        f"{name}_exponent": float(np.polyfit(values, np.log([p[name] for p in upper]), 1)[0])
        for name in ("seconds", "bytes")
    }
