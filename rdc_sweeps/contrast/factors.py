"""Cholesky factors of covariances, and bounds of their spectra, without a host synchronisation."""

from __future__ import annotations

import torch
from torch import Tensor

SQUARINGS = 4


def safe_root(values: Tensor) -> Tensor:
    """Square root of non-negative values with a finite gradient at zero."""
    tiny: float = torch.finfo(values.dtype).tiny ** 0.5
    return (values.clamp_min(0.0) + tiny).sqrt()


def unit_factor(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Lower triangular L (..., d, d) and scale s (...) with covariance = s^2 L L^T and s^2 the trace.

    The diagonal is raised by the rounding error of the type, d eps of the mean variance, so that a covariance that is
    singular or that rounding has made slightly indefinite has a factor too.
    """
    channels = covariance.shape[-1]
    scale = safe_root(covariance.diagonal(dim1=-2, dim2=-1).sum(-1))
    jitter = 2 * torch.finfo(covariance.dtype).eps
    identity = torch.eye(channels, dtype=covariance.dtype, device=covariance.device)
    unit = covariance / scale.square()[..., None, None] + jitter * identity
    factor, _ = torch.linalg.cholesky_ex(unit)  # unlike cholesky, does not wait for the device to look for an error
    return factor, scale


def spectral_bound(matrices: Tensor) -> Tensor:
    """Upper bound (...) of the largest eigenvalue of symmetric (..., d, d), within d^(1/32) of it, by squaring."""
    bound = torch.ones_like(matrices[..., 0, 0])
    exponent = 1.0
    for _ in range(SQUARINGS):
        norm = torch.linalg.matrix_norm(matrices)
        bound = bound * norm**exponent
        unit = matrices / norm[..., None, None]
        matrices = unit @ unit
        exponent /= 2
    last: Tensor = torch.linalg.matrix_norm(matrices) ** exponent
    return bound * last
