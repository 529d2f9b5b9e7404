"""Region-aware distribution contrast: region features in, loss and gradients out (eq. 2 to 6 of the paper)."""

from rdc_sweeps.contrast.gaussians import Gaussians, region_gaussians
from rdc_sweeps.contrast.index import RegionIndex, index_regions
from rdc_sweeps.contrast.infonce import info_nce
from rdc_sweeps.contrast.kl import kl_divergence
from rdc_sweeps.contrast.loss import region_contrast
from rdc_sweeps.contrast.moments import region_means
from rdc_sweeps.contrast.outcome import ContrastOutcome, Diagnostics
from rdc_sweeps.contrast.vectors import cosine_distance, squared_euclidean
from rdc_sweeps.contrast.wasserstein import wasserstein2_squared

__all__ = [
    "ContrastOutcome",
    "Diagnostics",
    "Gaussians",
    "RegionIndex",
    "cosine_distance",
    "index_regions",
    "info_nce",
    "kl_divergence",
    "region_contrast",
    "region_gaussians",
    "region_means",
    "squared_euclidean",
    "wasserstein2_squared",
]
