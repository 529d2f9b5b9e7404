"""(a) All-pairs squared Wasserstein distance, forward and backward, against the alternatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.contrast import references
from benchmarks.contrast.scenes import gaussians
from benchmarks.contrast.timing import interleaved, medians, paired_ratio
from rdc_sweeps.contrast import Gaussians, wasserstein2_squared

LOOP_PAIRS = 64


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per dimension d and number of Gaussians R, times per pair in microseconds."""
    sizes = [(d, r) for d in ((16, 32) if quick else (16, 32, 64)) for r in ((16, 64) if quick else (16, 64, 128))]
    return [_row(d, r, 1 if r * d > 4096 else 3 if quick else 7) for d, r in sizes]


def _row(d: int, r: int, repeats: int) -> dict[str, Any]:
    a, b = gaussians(r, d, seed=1), gaussians(r, d, seed=2)
    ways: dict[str, Callable[[Gaussians, Gaussians], Tensor]] = {
        "ours": partial(wasserstein2_squared, root="polar"),
        "pot": references.pot,
        "eigh": references.eigh_root,
    }
    candidates: dict[str, Callable[[], object]] = {}
    for name, way in ways.items():
        candidates[f"{name} forward"] = partial(way, a, b)
        candidates[f"{name} both"] = partial(_with_gradient, way, a, b)
    candidates["sqrtm forward"] = partial(references.sqrtm_pairs, a, b, LOOP_PAIRS)
    seconds = interleaved(candidates, repeats)
    pairs = {name: LOOP_PAIRS if name.startswith("sqrtm") else r * r for name in candidates}
    per_pair = {name: [1e6 * s / pairs[name] for s in values] for name, values in seconds.items()}
    ours = per_pair["ours both"]
    return {
        "d": d,
        "regions": r,
        "microseconds_per_pair": medians(per_pair),
        "sqrtm_without_gradient_over_ours_with": paired_ratio(per_pair["sqrtm forward"], ours),
        "pot_over_ours": paired_ratio(per_pair["pot both"], ours),
        "eigh_over_ours": paired_ratio(per_pair["eigh both"], ours),
        "pot_forward_over_ours": paired_ratio(per_pair["pot forward"], per_pair["ours forward"]),
    }


def _with_gradient(way: Callable[[Gaussians, Gaussians], Tensor], a: Gaussians, b: Gaussians) -> None:
    leaves = [
        Gaussians(mean=g.mean.detach().requires_grad_(), covariance=g.covariance.detach().requires_grad_())
        for g in (a, b)
    ]
    torch.autograd.backward(way(leaves[0], leaves[1]).sum())
