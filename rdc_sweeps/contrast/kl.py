"""The Kullback-Leibler divergence between Gaussians, for all pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from rdc_sweeps.contrast.arithmetic import full_precision, promote
from rdc_sweeps.contrast.factors import unit_factor
from rdc_sweeps.contrast.gaussians import Gaussians, check_pair
from rdc_sweeps.specs.contrast import Direction


def kl_divergence(a: Gaussians, b: Gaussians, *, direction: Direction, diagonal: bool = False) -> Tensor:
    """Kullback-Leibler divergence of all pairs of Gaussians in closed form.

    Args:
        a: Gaussians with mean (..., Ra, d).
        b: Gaussians with mean (..., Rb, d).
        direction: "a_to_b" is KL(a_i || b_j), "b_to_a" is KL(b_j || a_i), "symmetric" their sum.
        diagonal: Use the variances only, i.e. the sum of the divergences of each channel.

    Returns:
        Tensor (..., Ra, Rb).

    Raises:
        UsageError: The dimensions differ.
    """
    check_pair(a, b)
    with full_precision(a.mean):
        divergence = _diagonal_kl if diagonal else _full_kl
        match direction:
            case "a_to_b":
                return divergence(a, b)
            case "b_to_a":
                return divergence(b, a).mT
            case "symmetric":
                return divergence(a, b) + divergence(b, a).mT


def _full_kl(a: Gaussians, b: Gaussians) -> Tensor:
    mean_a, mean_b, covariance_a, covariance_b = promote(a.mean, b.mean, a.covariance, b.covariance)
    factor_a, factor_b = (f * s[..., None, None] for f, s in (unit_factor(covariance_a), unit_factor(covariance_b)))
    identity = torch.eye(b.channels, dtype=factor_b.dtype, device=factor_b.device)
    whiten = torch.linalg.solve_triangular(factor_b, identity, upper=False)  # W with W Sigma_b W^T = I
    precision = whiten.mT @ whiten
    trace = (factor_a @ factor_a.mT).flatten(-2) @ precision.flatten(-2).mT
    differences = mean_a[..., :, None, :] - mean_b[..., None, :, :]
    mahalanobis = torch.einsum("...bij,...abj->...abi", whiten, differences).square().sum(-1)
    log_a, log_b = (2 * f.diagonal(dim1=-2, dim2=-1).log().sum(-1) for f in (factor_a, factor_b))
    divergence: Tensor = (trace + mahalanobis - b.channels + log_b[..., None, :] - log_a[..., :, None]) / 2
    return divergence


def _diagonal_kl(a: Gaussians, b: Gaussians) -> Tensor:
    mean_a, mean_b = promote(a.mean, b.mean)
    variance_a, variance_b = (_variances(g.covariance) for g in (a, b))
    precision = variance_b.reciprocal()
    differences = mean_a[..., :, None, :] - mean_b[..., None, :, :]
    mahalanobis = torch.einsum("...bj,...abj->...ab", precision, differences.square())
    trace = variance_a @ precision.mT
    log_a, log_b = variance_a.log().sum(-1), variance_b.log().sum(-1)
    divergence: Tensor = (trace + mahalanobis - b.channels + log_b[..., None, :] - log_a[..., :, None]) / 2
    return divergence


def _variances(covariance: Tensor) -> Tensor:
    covariance = promote(covariance)[0]
    variances = covariance.diagonal(dim1=-2, dim2=-1)
    limits = torch.finfo(covariance.dtype)
    known: Tensor = variances + limits.eps * variances.detach().mean(-1, keepdim=True) + limits.tiny**0.5
    return known
