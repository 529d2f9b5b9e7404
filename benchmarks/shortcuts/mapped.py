"""Through a_theta: predictions are noise, and a_theta is trained on nothing else."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor

from benchmarks.shortcuts.maps import noise
from benchmarks.shortcuts.measure import ACROSS, CONTRASTS, MIN_PIXELS, Measured, measured
from rdc_sweeps.contrast import region_contrast
from rdc_sweeps.models.mapping import MappingNetwork, TaskMaps, build_mapping, pair_index
from rdc_sweeps.models.shown import label_input
from rdc_sweeps.regions.superpixels import SuperpixelGenerator
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.contrast import ContrastSpec
from rdc_sweeps.specs.method import MappingSpec
from rdc_sweeps.specs.sources import SuperpixelRegions
from rdc_sweeps.synthetic.rooms.scenes import render

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
CLASSES = 13
SIZE = (64, 96)
CHANNELS = (16, 16)
REGION_STRIDE = 2
COARSER = 4
"""Predictions are resampled from a quarter of the size, as those of the networks are."""
IMAGES, HELD_OUT, BATCH = 64, 32, 8
SEGMENTS = 40
W2 = "Gaussian, W2"


@cache
def rooms() -> tuple[Tensor, Tensor]:
    """Semantic labels (N, H, W) and superpixels (N, H/2, W/2) of synthetic rooms; the last are held out."""
    generator = SuperpixelGenerator(SuperpixelRegions(segments=SEGMENTS))
    scenes = [render(0, index, SIZE) for index in range(IMAGES + HELD_OUT)]
    labels = np.stack([scene.semantic for scene in scenes if scene.semantic is not None])
    regions = np.stack([generator(scene.image) for scene in scenes])
    return torch.from_numpy(labels).long(), torch.from_numpy(regions)[:, 1::REGION_STRIDE, 1::REGION_STRIDE]


def features(network: MappingNetwork, predicted: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Features of predictions of normals (N, 3, H, W), and of semantic labels (N, H, W)."""
    count = len(labels)
    pairs = pair_index(torch.tensor([2]), torch.tensor([0]), len(TASKS)).expand(2 * count)
    maps: dict[Task, TaskMaps] = {
        "normal": TaskMaps([predicted], torch.arange(count)),
        "semantic": TaskMaps([label_input("semantic", labels, CLASSES)], torch.arange(count, 2 * count)),
    }
    found = network(maps, pairs)
    return found[:count], found[count:]


def trained(mapping: MappingSpec, contrast: ContrastSpec, steps: int) -> MappingNetwork:
    """a_theta after this many steps on the contrast of noise with labels."""
    torch.manual_seed(0)
    network = build_mapping(mapping, TASKS, CLASSES)
    film = network.film_parameters()
    known = {id(parameter) for parameter in film}
    others = [parameter for parameter in network.parameters() if id(parameter) not in known]
    optimizer = torch.optim.Adam([{"params": others, "lr": 5e-4}, {"params": film, "lr": 1e-3}])
    generator = torch.Generator().manual_seed(1)
    for predicted, labels, regions in _batches(generator, steps):
        sides = features(network, predicted, labels)
        loss = region_contrast(*sides, regions, contrast, min_pixels=MIN_PIXELS).loss
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return network


def _batches(generator: torch.Generator, steps: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    labels, regions = rooms()
    for _ in range(steps):
        chosen = torch.randperm(IMAGES, generator=generator)[:BATCH]
        yield noise(generator, BATCH, 3, SIZE, coarser=COARSER), labels[chosen], regions[chosen]


@torch.no_grad()
def held_out(
    network: MappingNetwork, seed: int, *, void: float = 0.0, flipped: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Features of noise and of labels of the held-out rooms, and their regions.

    Args:
        network: a_theta.
        seed: Of the noise.
        void: Share of the image in a square without label, at a random place; it has no region.
        flipped: Mirror everything.
    """
    labels, regions = (whole[IMAGES:].clone() for whole in rooms())
    generator = torch.Generator().manual_seed(seed)
    predicted = noise(generator, HELD_OUT, 3, SIZE, coarser=COARSER)
    if void:
        side = round((void * SIZE[0] * SIZE[1]) ** 0.5) // 2 * 2
        for image in range(HELD_OUT):
            top, left = (int(torch.randint(0, (edge - side) // 2, (), generator=generator)) * 2 for edge in SIZE)
            labels[image, top : top + side, left : left + side] = -1
            regions[image, top // 2 : (top + side) // 2, left // 2 : (left + side) // 2] = -1
    if flipped:
        predicted, labels, regions = (value.flip(-1) for value in (predicted, labels, regions))
    parts = [features(network, *batch) for batch in zip(predicted.split(BATCH), labels.split(BATCH), strict=True)]
    first, second = (torch.cat(side) for side in zip(*parts, strict=True))
    return first, second, regions


def run(steps: int, repeats: int) -> Iterator[Measured]:
    """Each contrast, trained on noise; with W2 also zeros, the other norms, void pixels and flips."""
    for padding, name in [
        ("zeros", W2),
        *(("reflect", name) for name in sorted(CONTRASTS, key=lambda name: name != W2)),
    ]:
        network = trained(
            MappingSpec.model_validate({"channels": CHANNELS, "padding": padding}), CONTRASTS[name], steps
        )
        yield from _measured(f"a_theta, {padding}, trained on noise", network, name, repeats)
        if (padding, name) == ("reflect", W2):
            yield from _measured("the same, void squares", network, name, repeats, void=0.15)
            yield from _measured("the same, flipped", network, name, repeats, flipped=True)
    for norm in ("single", "pooled"):
        network = trained(MappingSpec.model_validate({"channels": CHANNELS, "norm": norm}), CONTRASTS[W2], steps)
        yield from _measured(f"a_theta, reflect, norm {norm}, trained on noise", network, W2, repeats)


def _measured(
    what: str, network: MappingNetwork, name: str, repeats: int, *, void: float = 0.0, flipped: bool = False
) -> Iterator[Measured]:
    parts = [held_out(network, seed, void=void, flipped=flipped) for seed in range(repeats)]
    first, second, regions = (torch.cat(values) for values in zip(*parts, strict=True))
    across = f"{name}, across"
    return measured(what, first, second, regions, {name: CONTRASTS[name], across: ACROSS[across]})
