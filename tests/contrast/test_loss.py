from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.fidelity.references import equations as oracle
from rdc_sweeps.contrast import index_regions, info_nce, region_contrast
from rdc_sweeps.contrast.arithmetic import Draw
from rdc_sweeps.contrast.further import FurtherNegatives
from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.contrast import ContrastSpec, CovarianceSpec, GaussianContrast, PixelContrast, VectorContrast

contrast = partial(region_contrast, min_pixels=2)


def numbers(seed: int) -> Draw:
    return partial(torch.rand, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


EXACT_PIXELS = PixelContrast(distance="cosine", temperature=0.1, pixels_per_region=None)
EVERY: list[ContrastSpec] = [
    GaussianContrast(),
    GaussianContrast(covariance=CovarianceSpec(shrinkage="oas")),
    GaussianContrast(covariance=CovarianceSpec(shrinkage=0.0, ridge=1e-6)),
    GaussianContrast(root="svdvals"),
    GaussianContrast(root="eigvalsh"),
    GaussianContrast(distance="kl", direction="a_to_b"),
    GaussianContrast(distance="kl", direction="symmetric", diagonal=True),
    VectorContrast(),
    VectorContrast(distance="squared_euclidean"),
    EXACT_PIXELS,
    EXACT_PIXELS.model_copy(update={"distance": "squared_euclidean"}),
    EXACT_PIXELS.model_copy(update={"distance": "dot"}),
    EXACT_PIXELS.model_copy(update={"pixels_per_region": 3}),
]
NAMES = [str(spec) for spec in EVERY]


def scene(seed: int, batch: int = 2, d: int = 3, number: int = 4, size: tuple[int, int] = (6, 7)) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    regions = torch.randint(-1, number, (batch, *size), generator=generator)
    regions = torch.where(regions >= 0, 1000 * regions + 7, -1)
    one, other = torch.randn(2, batch, d, *size, generator=generator, dtype=torch.float64)
    return one, one + 0.5 * other, regions


def distance_of(spec: Any) -> Any:
    if spec.distance == "wasserstein":
        return oracle.wasserstein
    if spec.distance == "kl":
        forward = oracle.kullback_leibler
        directions = {
            "a_to_b": forward,
            "b_to_a": lambda a, b: forward(b, a),
            "symmetric": lambda a, b: forward(a, b) + forward(b, a),
        }
        return directions[spec.direction]
    return {
        "cosine": lambda a, b: 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b),
        "squared_euclidean": lambda a, b: np.sum((a - b) ** 2),
        "dot": lambda a, b: -a @ b,
    }[spec.distance]


@pytest.mark.parametrize("negatives", ["both", "other"])
@pytest.mark.parametrize("distance", ["wasserstein", "kl"])
@pytest.mark.parametrize("direction", ["a_to_b", "b_to_a", "symmetric"])
@pytest.mark.parametrize("temperature", [0.5, 5.4])
def test_gaussian_contrast_agrees_with_loops(negatives: Any, distance: Any, direction: Any, temperature: float) -> None:
    spec = GaussianContrast(
        distance=distance,
        negatives=negatives,
        direction=direction,
        temperature=temperature,
        covariance=CovarianceSpec(shrinkage=0.2),
    )
    prediction, label, regions = scene(1)
    found = contrast(prediction, label, regions, spec, min_pixels=3)
    expected = [
        oracle.region_loss(
            [
                oracle.gaussians(side[i].numpy(), regions[i].numpy(), 0.2, spec.covariance.ridge, 3)
                for side in (prediction, label)
            ],
            distance_of(spec),
            temperature,
            negatives,
        )
        for i in range(2)
    ]
    np.testing.assert_allclose(found.losses, expected, rtol=1e-8)
    assert found.loss.item() == pytest.approx(np.mean(expected), rel=1e-8)


@pytest.mark.parametrize("negatives", ["both", "other"])
@pytest.mark.parametrize("distance", ["cosine", "squared_euclidean"])
def test_vector_contrast_agrees_with_loops(negatives: Any, distance: Any) -> None:
    spec = VectorContrast(distance=distance, negatives=negatives, temperature=0.7)
    prediction, label, regions = scene(2)
    found = contrast(prediction, label, regions, spec)
    for i in range(2):
        tasks = [
            [mean for mean, _ in oracle.gaussians(side[i].numpy(), regions[i].numpy(), 0, 0, 2)]
            for side in (prediction, label)
        ]
        expected = oracle.region_loss(tasks, distance_of(spec), 0.7, negatives)
        assert found.losses[i].item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("negatives", ["both", "other"])
@pytest.mark.parametrize("distance", ["cosine", "squared_euclidean", "dot"])
@pytest.mark.parametrize("number", [None, 10**6])
def test_pixel_contrast_agrees_with_loops(negatives: Any, distance: Any, number: int | None) -> None:
    spec = PixelContrast(distance=distance, negatives=negatives, temperature=0.7, pixels_per_region=number)
    prediction, label, regions = scene(3, size=(5, 6))
    found = contrast(prediction, label, regions, spec, min_pixels=8)
    for i in range(2):
        expected = oracle.pixel_loss(
            [side[i].numpy() for side in (prediction, label)],
            regions[i].numpy(),
            distance_of(spec),
            0.7,
            negatives,
            8,
        )
        assert found.losses[i].item() == pytest.approx(expected, rel=1e-9)


def test_sampled_pixels_approach_the_exact_loss_from_below() -> None:
    prediction, label, regions = scene(4, batch=1, size=(12, 16), number=3)
    exact = contrast(
        prediction, label, regions, PixelContrast(distance="cosine", temperature=0.5, pixels_per_region=None)
    ).loss
    draw = numbers(0)

    def sampled(number: int, draws: int) -> Tensor:
        spec = PixelContrast(distance="cosine", temperature=0.5, pixels_per_region=number)
        return torch.stack([contrast(prediction, label, regions, spec, draw=draw).loss for _ in range(draws)])

    few, many = sampled(2, 300), sampled(24, 300)
    assert few.mean() < exact
    assert (many.mean() - exact).abs() < (few.mean() - exact).abs() / 3
    assert many.mean() < exact + 3 * many.std() / 300**0.5
    torch.testing.assert_close(sampled(10**4, 1)[0], exact)


@pytest.mark.parametrize("spec", EVERY, ids=NAMES)
def test_gradcheck(spec: ContrastSpec) -> None:
    prediction, label, regions = scene(5, size=(4, 5), number=3)
    coarse = prediction[:, :, ::2, ::2].clone().requires_grad_(), label[:, :, ::2, ::2].clone().requires_grad_()
    for inputs in (coarse, (prediction.requires_grad_(), label.requires_grad_())):

        def loss(a: Tensor, b: Tensor) -> Tensor:
            return contrast(a, b, regions, spec, draw=numbers(1)).losses

        assert torch.autograd.gradcheck(loss, inputs, atol=1e-4 if spec == EVERY[2] else 1e-5)


FURTHER = FurtherNegatives(torch.tensor([[3, -1], [0, 2]]), torch.tensor([[1.0, 1.0], [0.25, 0.75]]))


@pytest.mark.slow
@pytest.mark.parametrize("spec", [EVERY[0], EVERY[5], EVERY[7], EVERY[9], EVERY[12]])
def test_gradcheck_with_further_negatives(spec: ContrastSpec) -> None:
    prediction, label, regions = scene(5, size=(4, 5), number=3)
    regions = regions[:1].expand(2, -1, -1)

    def loss(a: Tensor, b: Tensor) -> Tensor:
        return contrast(a, b, regions, spec, draw=numbers(1), further=FURTHER).losses

    assert torch.autograd.gradcheck(loss, (prediction.requires_grad_(), label.requires_grad_()), atol=1e-5)


def awkward(kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Features and regions that break careless code, in single precision."""
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 2, 8, 6, 8, generator=generator)
    regions = torch.arange(48).reshape(1, 6, 8).expand(2, 6, 8) // 4
    if kind == "rank-deficient":
        return one, other, regions
    if kind == "constant":
        return torch.ones_like(one), torch.ones_like(other), regions
    if kind == "zero":
        return torch.zeros_like(one), torch.zeros_like(other), regions
    if kind == "one constant region":
        return torch.where((regions == 3)[:, None], 5.0, one), other, regions
    if kind == "two pixels":
        return one, other, torch.arange(48).reshape(1, 6, 8).expand(2, 6, 8) // 2
    if kind == "one pixel":
        return one, other, torch.arange(48).reshape(1, 6, 8).expand(2, 6, 8)
    if kind == "identical regions":
        return one[..., :4].repeat(1, 1, 1, 2), one[..., :4].repeat(1, 1, 1, 2), (torch.arange(8) // 4).expand(2, 6, 8)
    if kind == "identical tasks":
        return one, one.clone(), regions
    if kind == "no region":
        return one, other, torch.full_like(regions, -1)
    if kind == "one region":
        return one, other, torch.zeros_like(regions)
    if kind == "one image without regions":
        return one, other, torch.stack([regions[0], torch.full((6, 8), -3)])
    if kind == "few dimensions used":
        return one * (torch.arange(8) < 2)[:, None, None], other * (torch.arange(8) < 2)[:, None, None], regions
    scale = {"tiny": 1e-6, "huge": 1e6, "far": 1.0}[kind]
    return one * scale, other * scale, regions


KINDS = [
    "rank-deficient", "constant", "zero", "one constant region", "two pixels", "one pixel", "identical regions",
    "identical tasks", "no region", "one region", "one image without regions", "few dimensions used", "tiny", "huge",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spec", EVERY, ids=NAMES)
def test_loss_and_gradient_are_always_finite(spec: ContrastSpec, kind: str) -> None:
    prediction, label, regions = awkward(kind)
    for min_pixels in (1, 2):
        prediction, label = prediction.detach().requires_grad_(), label.detach().requires_grad_()
        found = contrast(prediction, label, regions, spec, min_pixels=min_pixels)
        assert found.losses.isfinite().all()
        assert (found.losses >= 0).all()
        torch.autograd.backward(found.loss)
        for side in (prediction, label):
            assert side.grad is not None
            assert side.grad.isfinite().all()
        if kind in ("no region", "one region") or (kind == "one pixel" and min_pixels == 2):
            assert found.loss.item() == 0
            assert all(side.grad is not None and side.grad.abs().max() == 0 for side in (prediction, label))
            assert not found.used.any()


@pytest.mark.parametrize("spec", EVERY, ids=NAMES)
def test_bf16_autocast_around_the_call_changes_nothing(spec: ContrastSpec) -> None:
    prediction, label, regions = awkward("rank-deficient")
    outside = contrast(prediction, label, regions, spec, draw=numbers(2))
    with torch.autocast("cpu", torch.bfloat16):
        inside = contrast(prediction, label, regions, spec, draw=numbers(2))
    assert inside.loss.dtype == torch.float32
    assert inside.loss == outside.loss
    half = prediction.bfloat16().requires_grad_()
    torch.autograd.backward(contrast(half, label.bfloat16(), regions, spec).loss)
    assert half.grad is not None
    assert half.grad.isfinite().all()


@given(seed=st.integers(0, 10**6), which=st.sampled_from([0, 1, 5, 7, 9, 11]), padding=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_padding_and_ids_do_not_matter(seed: int, which: int, padding: int) -> None:
    prediction, label, regions = scene(seed, batch=3, number=5)
    losses, gradients = [], []
    renamed = torch.where(regions >= 0, 2**16 + 13 * regions, -5)
    for map_, capacity in ((regions, None), (renamed, 5 + padding)):
        a, b = prediction.clone().requires_grad_(), label.clone().requires_grad_()
        found = contrast(a, b, map_, EVERY[which], max_regions=capacity)
        torch.autograd.backward(found.loss)
        losses.append(found.losses.detach())
        gradients.append((a.grad, b.grad))
    for alone in range(3):
        single = contrast(
            prediction[alone : alone + 1], label[alone : alone + 1], regions[alone : alone + 1], EVERY[which]
        )
        torch.testing.assert_close(single.losses[0], losses[0][alone])
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("spec", EVERY, ids=NAMES)
def test_pixels_without_region_get_no_gradient(spec: ContrastSpec) -> None:
    prediction, label, regions = scene(6)
    prediction.requires_grad_()
    torch.autograd.backward(contrast(prediction, label, regions, spec).loss)
    assert prediction.grad is not None
    assert prediction.grad.movedim(1, -1)[regions < 0].abs().max() == 0


@pytest.mark.parametrize("further", [None, FURTHER], ids=["two maps", "further maps"])
@pytest.mark.parametrize("spec", EVERY, ids=NAMES)
def test_nothing_in_the_loss_looks_at_data_on_the_host(spec: ContrastSpec, further: FurtherNegatives | None) -> None:
    """On the meta device there is no data: anything that would wait for a GPU raises."""
    if getattr(spec, "root", "polar") == "eigvalsh":
        pytest.skip("decompositions wait for the device, which is why polar is the default")
    prediction = torch.empty(2, 32, 18, 24, device="meta", requires_grad=True)
    label = torch.empty(2, 32, 18, 24, device="meta", requires_grad=True)
    regions = torch.empty(2, 36, 48, dtype=torch.int32, device="meta")
    if isinstance(spec, PixelContrast):
        spec = spec.model_copy(update={"temperature": 0.2})
    found = contrast(prediction, label, regions, spec, max_regions=9, further=further)
    torch.autograd.backward(found.loss)
    assert prediction.grad is not None
    assert prediction.grad.shape == prediction.shape


@pytest.mark.parametrize("spec", [EVERY[0], EVERY[5], EVERY[7], EVERY[9], EVERY[12]])
def test_diagnostics(spec: ContrastSpec) -> None:
    prediction, label, regions = scene(7, batch=2, size=(12, 14), number=5)
    regions[1] = torch.where(regions[1] == 7, 7, -1)  # one region only: no part of the diagnostics
    near = contrast(prediction, prediction + 1e-3 * label, regions, spec)
    assert near.used.tolist() == [True, False]
    assert near.loss == near.losses[0] / 2
    assert near.diagnostics.accuracy.item() == pytest.approx(1)
    assert near.diagnostics.regions == 3
    assert near.diagnostics.positive_distance < near.diagnostics.negative_distance
    assert not near.diagnostics.accuracy.requires_grad
    one = contrast(prediction[:1], label[:1], regions[:1], spec, draw=numbers(1))
    assert 0 <= one.diagnostics.accuracy <= 1
    none = contrast(prediction[1:], label[1:], regions[1:], spec)
    assert none.diagnostics.accuracy.isnan()


def test_negative_distance_of_pixels_is_the_mean_over_pairs() -> None:
    prediction, label, regions = scene(8, batch=1, size=(4, 5), number=3)
    found = contrast(prediction, label, regions, EXACT_PIXELS.model_copy(update={"distance": "squared_euclidean"}))
    pixels = torch.cat([prediction, label])[:, :, regions[0] >= 0].transpose(1, 2).flatten(0, 1)
    rows = regions[0][regions[0] >= 0].repeat(2)
    distances = torch.cdist(pixels, pixels).square()[rows[:, None] != rows]
    torch.testing.assert_close(found.diagnostics.negative_distance, distances.mean())


def test_detached_side_gets_no_gradient() -> None:
    prediction, label, regions = scene(9)
    prediction.requires_grad_()
    label.requires_grad_()
    torch.autograd.backward(contrast(prediction, label.detach(), regions, GaussianContrast()).loss)
    assert prediction.grad is not None
    assert label.grad is None


def test_the_loss_can_be_lowered_by_gradient_descent() -> None:
    prediction, label, regions = scene(10, d=4, size=(12, 16), number=6)
    prediction = prediction.float().requires_grad_()
    index = index_regions(regions)
    optimiser = torch.optim.Adam([prediction], lr=0.05)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        found = contrast(prediction, label.float(), index, GaussianContrast(temperature=0.5))
        torch.autograd.backward(found.loss)
        optimiser.step()
        losses.append(found.loss.item())
    assert losses[-1] < 0.6 * losses[0]


@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e4), temperature=st.floats(0.05, 20))
@settings(max_examples=30, deadline=None)
def test_info_nce_with_several_positives(seed: int, scale: float, temperature: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    distances = scale * torch.rand(3, 4, 6, generator=generator, dtype=torch.float64)
    positives = torch.rand(3, 4, 6, generator=generator) < 0.3
    negatives = ~positives & (torch.rand(3, 4, 6, generator=generator) < 0.7)
    found = info_nce(distances, positives, negatives, temperature)
    logits = -distances / temperature
    for anchor in np.ndindex(3, 4):
        opponents = logits[anchor][negatives[anchor]]
        expected = sum(
            (torch.logsumexp(torch.cat([p[None], opponents]), 0) - p).item() for p in logits[anchor][positives[anchor]]
        )
        assert found[anchor].item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_padding_cannot_be_made_a_region() -> None:
    prediction, label, regions = scene(12)
    for spec in (GaussianContrast(), VectorContrast(), PixelContrast()):
        with pytest.raises(UsageError, match="min_pixels"):
            region_contrast(prediction, label, regions, spec, min_pixels=0)


@pytest.mark.parametrize("spec", EVERY, ids=NAMES)
def test_divergence_shows(spec: ContrastSpec) -> None:
    if getattr(spec, "root", "polar") in ("svdvals", "eigvalsh"):
        pytest.skip("the decompositions refuse NaN with an error of their own")
    prediction, label, regions = scene(11)
    assert contrast(prediction * torch.nan, label, regions, spec).loss.isnan()


def test_unequal_features_are_refused() -> None:
    with pytest.raises(UsageError, match="one shape"):
        contrast(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 4).long(), VectorContrast())


@pytest.mark.parametrize("spec", EVERY, ids=NAMES)
def test_a_batch_without_items_has_zero_loss_and_gradient(spec: ContrastSpec) -> None:
    """What a process has that shares a batch with others and got images without pairs."""
    prediction, label, regions = scene(13)
    nothing = torch.tensor([], dtype=torch.int64)
    sides = [side[nothing].requires_grad_() for side in (prediction, label)]
    found = contrast(sides[0], sides[1], index_regions(regions).select(nothing), spec)
    assert found.losses.shape == (0,)
    assert found.loss == 0
    assert found.diagnostics.accuracy.isnan()
    torch.autograd.backward(found.losses.sum())
    assert all(side.grad is not None and side.grad.shape == side.shape for side in sides)
