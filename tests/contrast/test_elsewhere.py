"""Negatives at the same place in other images, against loops, and what they cannot tell apart."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rdc_sweeps.contrast import index_regions, region_contrast, region_gaussians, region_means
from rdc_sweeps.contrast.elsewhere import OtherImages
from rdc_sweeps.contrast.kl import kl_divergence
from rdc_sweeps.contrast.vectors import cosine_distance, squared_euclidean
from rdc_sweeps.contrast.wasserstein import wasserstein2_squared
from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.contrast import ContrastSpec, GaussianContrast, VectorContrast

MIN_PIXELS = 3
TAU = 0.7
ITEMS = torch.tensor([[1, 2], [0, -1], [0, 1]])

SPECS: dict[str, ContrastSpec] = {
    "wasserstein": GaussianContrast(negatives="images", temperature=TAU),
    "kl": GaussianContrast(negatives="images", temperature=TAU, distance="kl"),
    "cosine": VectorContrast(negatives="images", temperature=TAU),
    "squared": VectorContrast(negatives="images", temperature=TAU, distance="squared_euclidean"),
}


def maps(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sides = torch.randn(2, 3, 4, 6, 8, generator=generator, dtype=torch.float64)
    return sides[0], sides[1], torch.randint(-1, 4, (3, 6, 8), generator=generator)


def distance(spec: ContrastSpec, a: Tensor, b: Tensor, regions: Tensor, slot: int) -> Tensor:
    """D of one region of two maps (d, h, w)."""
    if isinstance(spec, VectorContrast):
        compare: Any = cosine_distance if spec.distance == "cosine" else squared_euclidean
        means = [region_means(side[None], index_regions(regions[None]))[:, slot : slot + 1] for side in (a, b)]
        found: Tensor = compare(*means).squeeze()
        return found
    assert isinstance(spec, GaussianContrast)
    one, other = (
        region_gaussians(side[None], regions[None], spec.covariance, min_pixels=MIN_PIXELS) for side in (a, b)
    )
    if spec.distance == "kl":
        return kl_divergence(one, other, direction="symmetric")[0, slot, slot]
    return wasserstein2_squared(one, other, root="eigvalsh")[0, slot, slot]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_the_loss_is_that_of_loops(spec: ContrastSpec) -> None:
    predicted, labelled, regions = maps()
    sides = (predicted, labelled)
    found = region_contrast(*sides, regions, spec, min_pixels=MIN_PIXELS, others=OtherImages(sides, ITEMS))
    for n in range(3):
        ids = regions[n].unique()
        slots = [
            slot for slot, one in enumerate(ids[ids >= 0].tolist()) if int((regions[n] == one).sum()) >= MIN_PIXELS
        ]
        terms = []
        for slot in slots:
            for anchor, other in ((predicted, labelled), (labelled, predicted)):
                positive = distance(spec, anchor[n], other[n], regions[n], slot)
                negatives = [distance(spec, anchor[n], other[m], regions[n], slot) for m in ITEMS[n].tolist() if m >= 0]
                similar = torch.stack([positive, *negatives]).div(-TAU).exp()
                terms.append(-(similar[0] / similar.sum()).log())
        torch.testing.assert_close(found.losses[n], torch.stack(terms).mean(), rtol=1e-7, atol=1e-9)
        assert found.chance[n, slots].tolist() == pytest.approx([1 / (1 + int((ITEMS[n] >= 0).sum()))] * len(slots))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_what_all_images_have_at_a_place_tells_nothing(spec: ContrastSpec) -> None:
    """With features that are functions of the place alone, every candidate is as near as the positive."""
    predicted, labelled, regions = maps()
    sides = (predicted[:1].expand(3, -1, -1, -1), labelled[:1].expand(3, -1, -1, -1))
    found = region_contrast(*sides, regions, spec, min_pixels=MIN_PIXELS, others=OtherImages(sides, ITEMS))
    expected = [math.log(1 + count) for count in (2, 1, 2)]
    torch.testing.assert_close(found.losses, torch.tensor(expected, dtype=torch.float64), rtol=1e-6, atol=1e-8)


def test_other_images_get_no_gradient_and_own_maps_do() -> None:
    predicted, labelled, regions = maps()
    own = (predicted.requires_grad_(), labelled.requires_grad_())
    others = [torch.randn_like(side).requires_grad_() for side in own]
    spec = SPECS["wasserstein"]
    outcome = region_contrast(
        own[0], own[1], regions, spec, min_pixels=MIN_PIXELS, others=OtherImages((others[0], others[1]), ITEMS)
    )
    torch.autograd.backward(outcome.loss)
    assert all(side.grad is not None and side.grad.abs().amax((1, 2, 3)).min() > 0 for side in own)
    assert all(side.grad is None for side in others)


def test_items_without_other_images_are_not_used() -> None:
    predicted, labelled, regions = maps()
    others = OtherImages((predicted, labelled), torch.tensor([[1], [-1], [-1]]))
    outcome = region_contrast(predicted, labelled, regions, SPECS["cosine"], min_pixels=MIN_PIXELS, others=others)
    assert outcome.used.tolist() == [True, False, False]
    assert outcome.losses[1:].tolist() == [0, 0]
    alone = OtherImages((predicted, labelled), torch.full((3, 1), -1))
    outcome = region_contrast(predicted, labelled, regions, SPECS["cosine"], min_pixels=MIN_PIXELS, others=alone)
    assert outcome.loss == 0


def test_other_images_must_be_given() -> None:
    with pytest.raises(UsageError, match="negatives: images"):
        region_contrast(*maps(), SPECS["cosine"], min_pixels=MIN_PIXELS)
