"""All-pairs Wasserstein distances with gradients: pairs per second of each way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.contrast import references
from benchmarks.contrast.scenes import gaussians
from benchmarks.gpu.timing import cost
from rdc_sweeps.contrast import Gaussians, kernel_choice, wasserstein2_squared

Way = Callable[[Gaussians, Gaussians], Tensor]

WAYS: dict[str, tuple[kernel_choice.Mode, Way]] = {
    "polar, batched": ("off", partial(wasserstein2_squared, root="polar")),
    "polar, fused kernel": ("on", partial(wasserstein2_squared, root="polar")),
    "svdvals": ("off", partial(wasserstein2_squared, root="svdvals")),
    "eigh": ("off", references.eigh_root),
}
"""`eigh`: square roots through eigenvectors, all pairs in one batch."""


def run(device: torch.device, small: bool) -> list[dict[str, Any]]:
    """A row for each d and way. On a CPU there is no fused kernel."""
    dimensions, regions, repeats = ((16, 32), 8, 1) if small else ((16, 32, 64), 200, 10)
    rows = []
    for d in dimensions:
        a, b = (_on(device, gaussians(regions, d, seed=seed)) for seed in (1, 2))
        for name, (mode, way) in WAYS.items():
            if device.type == "cpu" and mode == "on":
                continue
            with _kernel(mode):
                found = cost(partial(_with_gradient, way, a, b), device, repeats)
            rows.append({"d": d, "way": name, "pairs/s": found and regions**2 / found.seconds})
    return rows


@contextmanager
def _kernel(mode: kernel_choice.Mode) -> Iterator[None]:
    kernel_choice.configure(mode, None)
    try:
        yield
    finally:
        kernel_choice.configure("off", None)


def _on(device: torch.device, of: Gaussians) -> Gaussians:
    return Gaussians(mean=of.mean.to(device), covariance=of.covariance.to(device))


def _with_gradient(way: Way, a: Gaussians, b: Gaussians) -> None:
    leaves = [
        Gaussians(mean=g.mean.detach().requires_grad_(), covariance=g.covariance.detach().requires_grad_())
        for g in (a, b)
    ]
    torch.autograd.backward(way(leaves[0], leaves[1]).sum())
