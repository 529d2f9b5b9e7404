"""How an image's pairs make up L_RC, against loops over the equations that know nothing of the package."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fidelity.references import equations as oracle
from benchmarks.fidelity.references.readings import image_loss
from rdc_sweeps.contrast import region_contrast
from rdc_sweeps.methods.pairs import Pairs, task_pairs
from rdc_sweeps.methods.readings import further_negatives, pair_weights
from rdc_sweeps.specs.contrast import ContrastSpec, CovarianceSpec, GaussianContrast, PixelContrast, VectorContrast
from rdc_sweeps.specs.method import PairReading

MIN_PIXELS = 3
SPECS: dict[str, ContrastSpec] = {
    "gaussian": GaussianContrast(temperature=0.9, covariance=CovarianceSpec(shrinkage=0.2)),
    "gaussian, other": GaussianContrast(temperature=0.9, negatives="other", distance="kl", direction="a_to_b"),
    "vector": VectorContrast(distance="squared_euclidean", temperature=0.7),
    "vector, other": VectorContrast(negatives="other"),
    "pixel": PixelContrast(distance="squared_euclidean", temperature=0.8, pixels_per_region=None),
    "all pixels drawn": PixelContrast(distance="cosine", temperature=0.3, pixels_per_region=10**4, negatives="other"),
}


def distance_of(spec: Any) -> Callable[[Any, Any], float]:
    distances: dict[str, Callable[[Any, Any], float]] = {
        "wasserstein": oracle.wasserstein,
        "kl": oracle.kullback_leibler,
        "squared_euclidean": lambda a, b: float(((a - b) ** 2).sum()),
        "cosine": lambda a, b: float(1 - a @ b / (a @ a) ** 0.5 / (b @ b) ** 0.5),
    }
    return distances[spec.distance]


def similarity_of(spec: Any) -> Callable[[Any, Any], float]:
    distance = distance_of(spec)
    return lambda a, b: math.exp(-distance(a, b) / spec.temperature)


def represented(spec: Any, features: Any, regions: Any) -> dict[Any, Any]:
    """Per (region, place in it) what is contrasted: one per region, or one per pixel."""
    ids = [int(i) for i in sorted(set(regions[regions >= 0].tolist())) if (regions == i).sum() >= MIN_PIXELS]
    if spec.name == "pixel":
        return {(i, place): features[:, regions == i][:, place] for i in ids for place in range((regions == i).sum())}
    shrinkage, ridge = (spec.covariance.shrinkage, spec.covariance.ridge) if spec.name == "gaussian" else (0, 0)
    moments = oracle.gaussians(features, regions, shrinkage, ridge, MIN_PIXELS)
    return {(i, 0): one if spec.name == "gaussian" else one[0] for i, one in zip(ids, moments, strict=True)}


def features_of(pairs: Pairs, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = int(pairs.image.max()) + 1
    regions = torch.randint(-1, 3, (images, 5, 6), generator=generator)
    sides = torch.randn(2, len(pairs), 3, 5, 6, generator=generator, dtype=torch.float64)
    return sides[0], sides[1], regions


def losses_of(granted: list[list[bool]], reading: PairReading, spec: ContrastSpec, seed: int) -> tuple[Any, Any]:
    """L_RC of each image, and the same from loops."""
    pairs = task_pairs(torch.tensor(granted))
    predicted, labelled, regions = features_of(pairs, seed)
    further = further_negatives(pairs) if reading == "equation" else None
    tasks = len(granted[0])
    outcome = region_contrast(
        predicted, labelled, regions[pairs.image], spec, min_pixels=MIN_PIXELS, further=further
    )  # fmt: skip
    weighted = outcome.losses * pair_weights(pairs, reading, tasks)
    found = torch.zeros(len(granted), dtype=torch.float64).index_add(0, pairs.image, weighted)
    expected = []
    for image in range(len(granted)):
        maps: dict[tuple[int, int], dict[int, Any]] = {}
        for n in (pairs.image == image).nonzero().flatten().tolist():
            t, s = int(pairs.predicted[n]), int(pairs.labelled[n])
            maps[t, s] = {
                task: represented(spec, side[n].numpy(), regions[image].numpy())
                for task, side in ((t, predicted), (s, labelled))
            }
        expected.append(
            image_loss(maps, reading, tasks, similarity_of(spec), "other" if spec.negatives == "other" else "both")
        )
    return found, expected


SETTINGS = {
    "one label": [[False, True, False], [True, False, False]],
    "two labels": [[True, True, False], [False, True, True]],
    "full": [[True, True, True]],
    "mixed": [[True, True, True], [False, False, True], [True, False, True]],
    "two tasks": [[True, False], [True, True]],
}


@pytest.mark.parametrize("reading", ["equation", "sum", "mean"])
@pytest.mark.parametrize("granted", SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_every_reading_agrees_with_loops(spec: ContrastSpec, granted: list[list[bool]], reading: PairReading) -> None:
    found, expected = losses_of(granted, reading, spec, seed=1)
    assert min(expected) > 0
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


@given(seed=st.integers(0, 10**6), name=st.sampled_from(sorted(SPECS)))
@settings(max_examples=10, deadline=None)
def test_two_tasks_and_one_label_read_the_same_in_all_ways(seed: int, name: str) -> None:
    granted = [[True, False], [False, True]]
    readings: list[PairReading] = ["equation", "sum", "mean"]
    one, *others = (losses_of(granted, reading, SPECS[name], seed)[0] for reading in readings)
    for other in others:
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("tasks", [2, 3, 4])
def test_one_map_per_task_is_the_equation_to_the_letter(tasks: int) -> None:
    """K M anchors with K - 1 positives and K (M - 1) negatives each, as the loops of the equation count them."""
    pairs = task_pairs(torch.ones(1, tasks, dtype=torch.bool))
    generator = torch.Generator().manual_seed(tasks)
    maps = torch.randn(tasks, 3, 5, 6, generator=generator, dtype=torch.float64)
    regions = torch.randint(-1, 4, (1, 5, 6), generator=generator)
    spec = GaussianContrast(temperature=0.9, covariance=CovarianceSpec(shrinkage=0.2))
    outcome = region_contrast(
        maps[pairs.predicted],
        maps[pairs.labelled],
        regions[pairs.image],
        spec,
        min_pixels=2,
        further=further_negatives(pairs),
    )
    found = (outcome.losses * pair_weights(pairs, "equation", tasks)).sum()
    gaussians = [oracle.gaussians(one.numpy(), regions[0].numpy(), 0.2, spec.covariance.ridge, 2) for one in maps]
    assert len(gaussians[0]) == 4
    assert found.item() == pytest.approx(oracle.region_loss(gaussians, oracle.wasserstein, 0.9), rel=1e-9)


@pytest.mark.parametrize("granted", SETTINGS.values(), ids=SETTINGS.keys())
def test_every_other_task_counts_once_among_the_negatives(granted: list[list[bool]]) -> None:
    pairs = task_pairs(torch.tensor(granted))
    further = further_negatives(pairs)
    if len(granted[0]) == 2:
        assert further is None
        return
    assert further is not None
    known = further.maps >= 0
    assert torch.where(known, further.weights, 0.0).sum(1).tolist() == [1.0] * len(pairs)
    image, task = pairs.image.repeat(2), torch.cat([pairs.predicted, pairs.labelled])
    for n in range(len(pairs)):
        for m in further.maps[n][known[n]].tolist():
            assert image[m] == pairs.image[n]
            assert task[m] not in (pairs.predicted[n], pairs.labelled[n])


def test_no_items_have_no_weights_and_no_further_negatives() -> None:
    pairs = task_pairs(torch.tensor([[False, False, False]]))
    assert further_negatives(pairs) is None
    assert [len(pair_weights(pairs, reading, 3)) for reading in ("equation", "sum", "mean")] == [0, 0, 0]
