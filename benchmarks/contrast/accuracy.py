"""Error of every method for the root, values and gradients, in single against double precision."""

from __future__ import annotations

from typing import Any, get_args

import torch
from torch import Tensor

from benchmarks.contrast.scenes import gaussians
from rdc_sweeps.contrast import Gaussians, wasserstein2_squared
from rdc_sweeps.contrast.factors import unit_factor
from rdc_sweeps.contrast.polar import NuclearNorms
from rdc_sweeps.specs.contrast import Root

ROOTS: tuple[Root, ...] = get_args(Root)


def run(quick: bool) -> list[dict[str, Any]]:
    """Largest error of the distances, and error of the gradient's norm, relative to the exact ones, per shrinkage."""
    rows = []
    for shrinkage in (0.5, 0.1, 1e-2, 1e-3, 0.0):
        for d in (32,) if quick else (16, 32, 64):
            single = gaussians(24, d, shrinkage=shrinkage)
            double = Gaussians(mean=single.mean.double(), covariance=single.covariance.double())
            value, gradient = _both(double, "svdvals")
            row: dict[str, Any] = {"d": d, "shrinkage": shrinkage}
            for root in ROOTS:
                found, found_gradient = _both(single, root)
                scale = value.max()
                row[f"{root} value"] = ((found - value).abs().max() / scale).item()
                row[f"{root} gradient"] = ((found_gradient - gradient).norm() / gradient.norm()).item()
            row["fixed schedule, root"] = _fixed_schedule(single)
            rows.append(row)
    return rows


def _fixed_schedule(g: Gaussians) -> float:
    """Largest relative error of the nuclear norm if the range of the spectrum is not read, as on a GPU."""
    factors, _ = unit_factor(g.covariance)
    left, right = torch.triu_indices(len(factors), len(factors), 1)
    products = factors[left].mT @ factors[right]
    exact = torch.linalg.svdvals(products.double()).sum(-1)
    found = NuclearNorms.apply(factors, left, right, torch.linalg.matrix_norm(products), [])
    return float(((found - exact).abs() / exact).max())


def _both(g: Gaussians, root: Root) -> tuple[Tensor, Tensor]:
    covariance = g.covariance.detach().requires_grad_()
    distances = wasserstein2_squared(Gaussians(mean=g.mean, covariance=covariance), root=root)
    (gradient,) = torch.autograd.grad(distances.sum(), covariance)
    return distances.detach(), gradient
