"""Whether polar factors come from the fused kernel: only where it was measured to be right and faster."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import math
import re
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from rdc_sweeps.errors import DamagedError

Mode = Literal["auto", "on", "off"]
Way = Callable[[Tensor, Tensor, Tensor, Tensor], Iterator[tuple[slice, Tensor, Tensor]]]
"""From factors, left, right and norms of pairs to their polar factors and products, chunk by chunk."""

DIMENSIONS = (16, 32, 64)
TOLERANCE = 1e-5
"""Largest difference of nuclear norms, relative to them."""
GAUSSIANS, CALLS = 128, 5
"""What is measured: all pairs of so many, so many times."""

_chosen: tuple[Mode, Path | None] = ("off", None)


def configure(mode: Mode, folder: Path | None) -> None:
    """Say how this process chooses; without it, the kernel is off.

    Args:
        mode: "auto": on a GPU, if a measurement there says so. "on": always, on a CPU by Triton's interpreter.
        folder: Where measurements are kept, a file for each GPU's name; None: they are made once a process.
    """
    global _chosen
    _chosen = (mode, folder)
    _measured.cache_clear()


def wanted(factors: Tensor, batched: Way, fused: Way) -> bool:
    """Whether the kernel is to be used for the pairs of these factors (n, d, d); may measure both ways for it."""
    mode, folder = _chosen
    if mode == "off" or factors.dtype != torch.float32 or factors.shape[-1] not in DIMENSIONS:
        return False
    if importlib.util.find_spec("triton") is None:
        return False
    if mode == "on":
        return factors.device.type in ("cuda", "cpu")
    return factors.device.type == "cuda" and _measured(factors.device, factors.shape[-1], folder, batched, fused)


@functools.cache
def _measured(device: torch.device, d: int, folder: Path | None, batched: Way, fused: Way) -> bool:
    name = torch.cuda.get_device_name(device)
    return chosen(name, d, folder, lambda: compare(device, d, batched, fused))


def chosen(name: str, d: int, folder: Path | None, measure: Callable[[], Mapping[str, Any]]) -> bool:
    """Whether the kernel is right and faster on a device of this name, as stored or else as measured now.

    Measurements with other versions of torch or Triton are made again.
    """
    path = None if folder is None else folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', name)}.json"
    versions = {package: importlib.metadata.version(package) for package in ("torch", "triton")}
    stored = _stored(path)
    measured = stored.get(str(d))
    if not isinstance(measured, dict) or measured.get("versions") != versions:
        measured = {**measure(), "versions": versions}
        if path is not None:
            from rdc_sweeps.files import write_json  # not what the contrast needs elsewhere

            try:
                write_json(path, {**stored, "device": name, str(d): measured}, durable=False)
            except OSError as error:
                warnings.warn(f"{path}: the measurement of the kernel is not kept: {error}", stacklevel=2)
    try:
        right = measured["difference"] <= TOLERANCE
        return bool(right and measured["kernel_seconds"] < measured["batched_seconds"])
    except (KeyError, TypeError):
        return False  # it failed, or its record is damaged


def _stored(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    from rdc_sweeps.files import read_file

    try:
        found = json.loads(read_file(path))
    except (OSError, ValueError, RecursionError, DamagedError):
        return {}
    return found if isinstance(found, dict) else {}


def compare(device: torch.device, d: int, batched: Way, fused: Way, gaussians: int = GAUSSIANS) -> dict[str, Any]:
    """Seconds of both ways and the largest relative difference of their nuclear norms; or the kernel's error."""
    factors, left, right, norms = example(device, d, gaussians)

    def norms_of(way: Way) -> Tensor:
        return torch.cat([torch.linalg.vecdot(one.flatten(1), m.flatten(1)) for _, one, m in way(*inputs)])

    inputs = factors, left, right, norms
    try:
        expected, found = norms_of(batched), norms_of(fused)
        seconds: dict[str, list[float]] = {"batched": [], "kernel": []}
        for _ in range(CALLS):
            for name, way in (("batched", batched), ("kernel", fused)):
                _wait(device)
                began = time.perf_counter()
                for _ in way(*inputs):
                    pass
                _wait(device)
                seconds[name].append(time.perf_counter() - began)
    except Exception as error:  # whatever a compiler or driver raises: the other way works
        return {"error": f"{type(error).__name__}: {error}"}
    difference = ((found - expected).abs() / expected).max().item()
    if not math.isfinite(difference):
        return {"error": "values that are not finite"}
    return {"difference": difference, **{f"{name}_seconds": statistics.median(of) for name, of in seconds.items()}}


def example(device: torch.device, d: int, gaussians: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unit factors of Gaussians that vary in half of the directions, with the default shrinkage; all their pairs."""
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(gaussians, d, d // 2, generator=generator)
    covariance = root @ root.mT
    covariance = covariance / covariance.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
    factors = torch.linalg.cholesky(0.9 * covariance + 0.1 / d * torch.eye(d)).to(device)
    left, right = torch.triu_indices(gaussians, gaussians, 1, device=device)
    return factors, left, right, torch.linalg.matrix_norm(factors[left].mT @ factors[right])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
