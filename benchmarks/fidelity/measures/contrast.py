"""Equations 2 to 6 of the paper against loops over pixels, regions and pairs, and the released contrast."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.fidelity.component import Component, Differences, largest
from benchmarks.fidelity.inputs import generator
from benchmarks.fidelity.references import equations, released_contrast
from benchmarks.fidelity.references.readings import image_loss
from rdc_sweeps.contrast import index_regions, region_contrast
from rdc_sweeps.contrast.released import ReleasedBank
from rdc_sweeps.methods.pairs import task_pairs
from rdc_sweeps.methods.readings import further_negatives, pair_weights
from rdc_sweeps.specs.contrast import CovarianceSpec, GaussianContrast, PixelContrast, ReleasedContrast, VectorContrast
from rdc_sweeps.specs.method import PairReading

MIN_PIXELS = 6
TAU = 5.4
BARE = CovarianceSpec(shrinkage=0.0, ridge=0.0)
"""Eq. 2 as it stands."""

GRANTED = torch.tensor([[True, False, False], [False, True, True], [True, True, True]])
"""One label, two labels and all labels."""


def scene(images: int = 2, channels: int = 4, size: tuple[int, int] = (20, 24)) -> tuple[Tensor, Tensor, Tensor]:
    """Features of a prediction and of a label (B, d, H, W), which are alike, and region ids (B, H, W)."""
    source = generator(3)
    label = torch.randn(images, channels, *size, generator=source, dtype=torch.float64)
    prediction = label + torch.randn(label.shape, generator=source, dtype=torch.float64)
    coarse = torch.randint(-1, 5, (images, size[0] // 4, size[1] // 4), generator=source)
    return prediction, label, coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)


def _gaussian_apart(spec: GaussianContrast, distance: equations.Distance) -> float:
    prediction, label, regions = scene()
    losses = region_contrast(prediction, label, regions, spec, min_pixels=MIN_PIXELS).losses
    covariance = spec.covariance
    assert isinstance(covariance.shrinkage, float)
    worst = 0.0
    for image, found in enumerate(losses.tolist()):
        sides = [
            equations.gaussians(
                side[image].numpy(), regions[image].numpy(), covariance.shrinkage, covariance.ridge, MIN_PIXELS
            )
            for side in (prediction, label)
        ]
        worst = max(worst, abs(found - equations.region_loss(sides, distance, spec.temperature)))
    return worst


def wasserstein() -> Differences:
    """The region Gaussians' contrast with eq. 5, without and with the shrinkage of the default."""
    return Differences(
        _gaussian_apart(GaussianContrast(temperature=TAU, covariance=BARE), equations.wasserstein),
        _apart_otherwise(),
    )


def _apart_otherwise() -> float:
    """How far the default's shrinkage moves the loss from eq. 2."""
    prediction, label, regions = scene()
    bare, shrunk = (
        region_contrast(prediction, label, regions, spec, min_pixels=MIN_PIXELS).losses
        for spec in (GaussianContrast(temperature=TAU, covariance=BARE), GaussianContrast(temperature=TAU))
    )
    return float((bare - shrunk).abs().max())


def kullback_leibler() -> Differences:
    """The same with the symmetric KL divergence."""
    spec = GaussianContrast(temperature=TAU, covariance=BARE, distance="kl")
    forward = equations.kullback_leibler
    return Differences(_gaussian_apart(spec, lambda a, b: forward(a, b) + forward(b, a)))


def diagonal_kl() -> Differences:
    """The same with the KL divergence of each channel."""
    spec = GaussianContrast(temperature=TAU, covariance=BARE, distance="kl", direction="a_to_b", diagonal=True)
    full = spec.model_copy(update={"diagonal": False})
    reference = equations.diagonal_kullback_leibler
    return Differences(_gaussian_apart(spec, reference), _gaussian_apart(full, reference))


def vectors() -> Differences:
    """Mean features, compared by their cosine."""
    spec = VectorContrast(temperature=0.1)
    prediction, label, regions = scene()
    losses = region_contrast(prediction, label, regions, spec, min_pixels=MIN_PIXELS).losses
    worst = 0.0
    for image, found in enumerate(losses.tolist()):
        sides = [
            [mean for mean, _ in equations.gaussians(side[image].numpy(), regions[image].numpy(), 0, 0, MIN_PIXELS)]
            for side in (prediction, label)
        ]
        worst = max(worst, abs(found - equations.region_loss(sides, _cosine_distance, spec.temperature)))
    return Differences(worst)


def pixels() -> Differences:
    """Every pixel against all pixels of other regions, by dot products."""
    spec = PixelContrast(temperature=TAU, pixels_per_region=None)
    prediction, label, regions = (tensor[:1, ..., ::2, ::2] for tensor in scene())
    found = region_contrast(prediction, label, regions, spec, min_pixels=2).losses
    sides = [side[0].numpy() for side in (prediction, label)]
    expected = equations.pixel_loss(sides, regions[0].numpy(), lambda a, b: -float(a @ b), TAU)
    return Differences(abs(found.item() - expected))


def released() -> Differences:
    """Three items in a row, whose regions overflow a bank of 20; against the contrast of eq. 3 otherwise."""
    spec, source = ReleasedContrast(bank=20), generator(5)
    regions = scene(3)[2].clamp_min(0)
    prediction, label = (torch.randn(3, 3, *regions.shape[1:], generator=source, dtype=torch.float64) for _ in range(2))
    found = ReleasedBank(spec, 3)(prediction, label, index_regions(regions), min_pixels=10)
    theirs = released_contrast.ReleasedContrast(spec.temperature, spec.bank)
    expected = [theirs(*(side[item].numpy() for side in (prediction, label, regions))) for item in range(3)]
    plain = region_contrast(prediction, label, regions, GaussianContrast(), min_pixels=10).losses
    of_release = torch.tensor(expected, dtype=torch.float64)
    return Differences(largest(found, of_release), largest(plain, of_release))


def two_negatives() -> Differences:
    """Vectors with two negatives an anchor, drawn from given numbers; with all negatives otherwise."""
    prediction, label, regions = (tensor[:1] for tensor in scene())
    slots = index_regions(regions).counts.shape[1]
    numbers = torch.rand(1, 2, slots, 2, slots, generator=generator(6), dtype=torch.float64)
    means = [
        [mean for mean, _ in equations.gaussians(side[0].numpy(), regions[0].numpy(), 0, 0, 1)]
        for side in (prediction, label)
    ]
    spec = VectorContrast(negative_count=2)
    expected = equations.drawn_region_loss(
        (means[0], means[1]), _cosine_distance, spec.temperature, numbers[0].numpy(), 2
    )
    apart = []
    for count in (2, None):
        counted = spec.model_copy(update={"negative_count": count})
        found = region_contrast(prediction, label, regions, counted, min_pixels=1, draw=lambda _: numbers).losses
        apart.append(abs(found.item() - expected))
    return Differences(*apart)


def equation() -> Differences:
    """Three images with one, two and three labels, pairs as in eq. 3 and 6; against the sum over pairs otherwise."""
    return Differences(_pairs_apart("equation", "equation"), _pairs_apart("equation", "sum"))


def summed() -> Differences:
    """The same, pairs summed; against the mean over pairs otherwise."""
    return Differences(_pairs_apart("sum", "sum"), _pairs_apart("sum", "mean"))


def _pairs_apart(ours: PairReading, theirs: PairReading) -> float:
    """L_RC of the images in one reading, against loops in the same or another one."""
    spec, source = GaussianContrast(temperature=TAU), generator(4)
    pairs, regions = task_pairs(GRANTED), scene(len(GRANTED))[2]
    size = (len(pairs), 3, *regions.shape[1:])
    prediction, label = (torch.randn(size, generator=source, dtype=torch.float64) for _ in range(2))
    further = further_negatives(pairs) if ours == "equation" else None
    outcome = region_contrast(prediction, label, regions[pairs.image], spec, min_pixels=MIN_PIXELS, further=further)
    weighted = outcome.losses * pair_weights(pairs, ours, GRANTED.shape[1])
    shrinkage, ridge = 0.1, spec.covariance.ridge
    worst = 0.0
    for image in range(len(GRANTED)):
        maps: dict[tuple[int, int], dict[int, Any]] = {}
        own = (pairs.image == image).nonzero().flatten().tolist()
        for item in own:
            pair = int(pairs.predicted[item]), int(pairs.labelled[item])
            maps[pair] = {}
            for task, side in zip(pair, (prediction, label), strict=True):
                found = equations.gaussians(side[item].numpy(), regions[image].numpy(), shrinkage, ridge, MIN_PIXELS)
                maps[pair][task] = {(region, 0): gaussian for region, gaussian in enumerate(found)}
        expected = image_loss(maps, theirs, GRANTED.shape[1], _similarity)
        worst = max(worst, abs(float(weighted[own].sum()) - expected))
    return worst


def _similarity(a: Any, b: Any) -> float:
    return math.exp(-equations.wasserstein(a, b) / TAU)


def _cosine_distance(a: Any, b: Any) -> float:
    return float(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b))


COMPONENTS = [
    Component(
        "region Gaussians, Wasserstein distance, InfoNCE",
        "equations 2 to 6, in loops",
        wasserstein,
        {"method.contrast.covariance.shrinkage": 0, "method.contrast.covariance.ridge": 0},
        bound=1e-6,
    ),
    Component(
        "region Gaussians, KL divergence", "closed form, in loops", kullback_leibler, {"method.contrast.distance": "kl"}
    ),
    Component(
        "region Gaussians, KL divergence per channel",
        "closed form, in loops",
        diagonal_kl,
        {"method.contrast.diagonal": True},
    ),
    Component(
        "region vectors", "equations 3 to 6 of mean features, in loops", vectors, {"method.contrast.name": "vector"}
    ),
    Component(
        "value of the released contrast, with its bank",
        "released code",
        released,
        {"method.contrast.name": "released"},
        bound=1e-9,
    ),
    Component(
        "two negatives of each region, drawn from given numbers",
        "eq. 3 with fewer negatives, in loops",
        two_negatives,
        {"method.contrast.negative_count": 2},
    ),
    Component(
        "pairs of tasks, one to three labels an image",
        "equations 3 and 6 for three tasks, in loops",
        equation,
        {"method.pairs": "equation"},
        bound=1e-9,
    ),
    Component("pairs of tasks, summed", "released code, in loops", summed, {"method.pairs": "sum"}, bound=1e-9),
    Component("pixels", "equations 3 to 6 of pixels, in loops", pixels, {"method.contrast.name": "pixel"}),
]
