"""The semantic label's classes as regions (Table 4)."""

import torch
from torch import Tensor

from rdc_sweeps.regions.generator import NO_REGION


def semantic_regions(label: Tensor) -> Tensor:
    """Id map of the semantic label of a view, which is cropped and scaled with it and so never stored.

    Args:
        label: Tensor (..., H, W) of class numbers; negative is void.

    Returns:
        Tensor (..., H, W), int32: the class number, `NO_REGION` on void.
    """
    return label.clamp(min=NO_REGION).to(torch.int32)
