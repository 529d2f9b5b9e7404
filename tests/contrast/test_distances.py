from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

import numpy as np
import ot.gaussian
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.fidelity.references import equations as oracle
from rdc_sweeps.contrast import Gaussians, cosine_distance, kl_divergence, squared_euclidean, wasserstein2_squared
from rdc_sweeps.contrast.factors import unit_factor
from rdc_sweeps.contrast.polar import NuclearNorms
from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.contrast import Direction, Root

ROOTS: tuple[Root, ...] = get_args(Root)
wasserstein = partial(wasserstein2_squared, root="polar")
kl = partial(kl_divergence, direction="a_to_b")
DISTANCES: list[Callable[[Gaussians, Gaussians], Tensor]] = [wasserstein, kl]


def random_gaussians(
    rows: int, d: int, seed: int, *, dtype: torch.dtype = torch.float64, ridge: float = 0.05
) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(rows, d, d, generator=generator, dtype=torch.float64)
    covariance = root @ root.mT / d + ridge * torch.eye(d, dtype=torch.float64)
    return Gaussians(
        mean=torch.randn(rows, d, generator=generator, dtype=torch.float64).to(dtype), covariance=covariance.to(dtype)
    )


def pairs(g: Gaussians) -> list[tuple[oracle.Array, oracle.Array]]:
    return [(m.double().numpy(), c.double().numpy()) for m, c in zip(g.mean, g.covariance, strict=True)]


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("d", [1, 2, 7, 32])
def test_wasserstein_agrees_with_sqrtm_and_pot(root: Root, d: int) -> None:
    a, b = random_gaussians(5, d, 1), random_gaussians(4, d, 2)
    found = wasserstein2_squared(a, b, root=root)
    expected = torch.tensor([[oracle.wasserstein(x, y) for y in pairs(b)] for x in pairs(a)], dtype=torch.float64)
    pot = ot.gaussian.bures_wasserstein_distance(a.mean, b.mean, a.covariance, b.covariance) ** 2
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found, pot, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("ridge", [1.0, 1e-2, 1e-4])
def test_polar_in_single_precision_is_as_exact_as_svdvals(ridge: float) -> None:
    double = [random_gaussians(12, 32, seed, ridge=ridge) for seed in (3, 4)]
    single = [Gaussians(mean=g.mean.float(), covariance=g.covariance.float()) for g in double]
    again = [Gaussians(mean=g.mean.double(), covariance=g.covariance.double()) for g in single]
    exact = wasserstein2_squared(*again, root="svdvals")
    errors = {m: (wasserstein2_squared(*single, root=m) - exact).abs().max() for m in ROOTS}
    assert errors["polar"] < 2e-5 * exact.max()
    assert errors["polar"] < 4 * errors["svdvals"] + 1e-5 * exact.max()


def test_polar_without_a_look_at_the_spectrum_covers_the_default_regularisation() -> None:
    """What a GPU runs: the fixed schedule, norms from the factors."""
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(40, 32, 5, generator=generator)
    covariance = root @ root.mT
    variance = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
    factors, _ = unit_factor(covariance + 0.1 * variance * torch.eye(32))
    left, right = torch.triu_indices(40, 40, 1)
    products = factors[left].mT @ factors[right]
    exact = torch.linalg.svdvals(products.double()).sum(-1)
    norms = torch.linalg.matrix_norm(products)
    found = NuclearNorms.apply(factors, left, right, norms, [])
    assert ((found - exact).abs() < 1e-5 * exact).all()


def test_gradients_agree_between_methods() -> None:
    gradients = []
    for root in ROOTS:
        leaves = [
            t.clone().requires_grad_()
            for g in (random_gaussians(6, 8, 5), random_gaussians(5, 8, 6))
            for t in (g.mean, g.covariance)
        ]
        a, b = Gaussians(mean=leaves[0], covariance=leaves[1]), Gaussians(mean=leaves[2], covariance=leaves[3])
        weights = torch.linspace(0.5, 2, 30, dtype=torch.float64).reshape(6, 5)
        torch.autograd.backward((weights * wasserstein2_squared(a, b, root=root)).sum())
        gradients.append([t.grad for t in leaves])
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], rtol=1e-7, atol=1e-9)


def symmetric(covariance: Tensor) -> Tensor:
    return (covariance + covariance.mT) / 2


@pytest.mark.parametrize("itself", [False, True])
def test_wasserstein_gradcheck(itself: bool) -> None:
    a, b = random_gaussians(3, 4, 7), random_gaussians(2, 4, 8)

    def distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
        first = Gaussians(mean=mean_a, covariance=symmetric(cov_a))
        return wasserstein(first, None if itself else Gaussians(mean=mean_b, covariance=symmetric(cov_b)))

    inputs = [t.clone().requires_grad_() for g in (a, b) for t in (g.mean, g.covariance)]
    assert torch.autograd.gradcheck(distance, inputs)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("direction", ["a_to_b", "b_to_a", "symmetric"])
def test_kl_gradcheck(diagonal: bool, direction: Direction) -> None:
    a, b = random_gaussians(3, 4, 7), random_gaussians(2, 4, 8)

    def divergence(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
        first = Gaussians(mean=mean_a, covariance=symmetric(cov_a))
        second = Gaussians(mean=mean_b, covariance=symmetric(cov_b))
        return kl_divergence(first, second, direction=direction, diagonal=diagonal)

    inputs = [t.clone().requires_grad_() for g in (a, b) for t in (g.mean, g.covariance)]
    assert torch.autograd.gradcheck(divergence, inputs)


@pytest.mark.parametrize("d", [1, 5, 32])
def test_kl_agrees_with_torch_distributions(d: int) -> None:
    a, b = random_gaussians(5, d, 9), random_gaussians(4, d, 10)

    def normal(g: Gaussians, dims: tuple[int, ...]) -> torch.distributions.MultivariateNormal:
        return torch.distributions.MultivariateNormal(g.mean[dims], g.covariance[dims])

    expected = torch.stack(
        [
            torch.stack(
                [
                    torch.distributions.kl_divergence(
                        torch.distributions.MultivariateNormal(a.mean[i], a.covariance[i]),
                        torch.distributions.MultivariateNormal(b.mean[j], b.covariance[j]),
                    )
                    for j in range(4)
                ]
            )
            for i in range(5)
        ]
    )
    reverse = torch.tensor([[oracle.kullback_leibler(y, x) for y in pairs(b)] for x in pairs(a)], dtype=torch.float64)
    torch.testing.assert_close(kl(a, b), expected)
    torch.testing.assert_close(kl_divergence(a, b, direction="b_to_a"), reverse)
    torch.testing.assert_close(kl_divergence(a, b, direction="symmetric"), expected + reverse)


def test_diagonal_kl_is_the_sum_over_channels() -> None:
    a, b = random_gaussians(3, 6, 11), random_gaussians(4, 6, 12)

    def scale(g: Gaussians) -> Tensor:
        return g.covariance.diagonal(dim1=-2, dim2=-1).sqrt()

    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(a.mean[:, None], scale(a)[:, None]),
        torch.distributions.Normal(b.mean[None], scale(b)[None]),
    ).sum(-1)
    torch.testing.assert_close(kl(a, b, diagonal=True), expected)


@given(seed=st.integers(0, 10**6), d=st.integers(1, 12), rows=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_root_of_wasserstein_is_a_metric(seed: int, d: int, rows: int) -> None:
    a, b, c = (random_gaussians(rows, d, seed + k, ridge=1e-3) for k in range(3))
    ab, ba, bc, ac = (wasserstein(x, y) for x, y in ((a, b), (b, a), (b, c), (a, c)))
    torch.testing.assert_close(ab, ba.mT)
    assert (ab > 0).all()
    assert (wasserstein(a, a).diagonal() < 1e-12 * d).all()
    torch.testing.assert_close(wasserstein(a), wasserstein(a, a), rtol=1e-9, atol=1e-10)
    for k in range(rows):
        assert (ac.sqrt() <= ab.sqrt()[:, k : k + 1] + bc.sqrt()[k] + 1e-7).all()


@given(seed=st.integers(0, 10**6), d=st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_distances_do_not_depend_on_rotation_and_translation(seed: int, d: int) -> None:
    a, b = random_gaussians(3, d, seed), random_gaussians(4, d, seed + 1)
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    shift = 10 * torch.randn(d, generator=generator, dtype=torch.float64)
    moved = [
        Gaussians(mean=g.mean @ rotation.mT + shift, covariance=rotation @ g.covariance @ rotation.mT) for g in (a, b)
    ]
    torch.testing.assert_close(wasserstein(*moved), wasserstein(a, b))
    torch.testing.assert_close(kl(*moved), kl(a, b))
    torch.testing.assert_close(squared_euclidean(moved[0].mean, moved[1].mean), squared_euclidean(a.mean, b.mean))


def test_wasserstein_without_covariance_is_squared_euclidean() -> None:
    a, b = (random_gaussians(3, 5, k).mean for k in (1, 2))
    points = [Gaussians(mean=m, covariance=torch.zeros(3, 5, 5, dtype=torch.float64)) for m in (a, b)]
    torch.testing.assert_close(wasserstein(*points), squared_euclidean(a, b))


def test_commuting_covariances_have_a_closed_form() -> None:
    a, b = torch.rand(4, 6, dtype=torch.float64), torch.rand(3, 6, dtype=torch.float64)
    zero = torch.zeros(1, dtype=torch.float64)
    found = wasserstein(
        Gaussians(mean=zero.expand(4, 6), covariance=a.diag_embed()),
        Gaussians(mean=zero.expand(3, 6), covariance=b.diag_embed()),
    )
    torch.testing.assert_close(found, squared_euclidean(a.sqrt(), b.sqrt()), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("root", ROOTS)
def test_equal_and_singular_gaussians_have_finite_gradients(root: Root) -> None:
    half = torch.randn(4, 8, 2)
    covariance = torch.cat([half @ half.mT, torch.zeros(2, 8, 8), torch.eye(8).expand(2, 8, 8)]).requires_grad_()
    mean = torch.zeros(8, 8, requires_grad=True)
    g = Gaussians(mean=mean, covariance=covariance)
    for distance in (
        wasserstein2_squared(g, root=root),
        wasserstein2_squared(g, g, root=root),
    ):
        assert distance.isfinite().all()
        gradients = torch.autograd.grad(distance.sum(), (mean, covariance), retain_graph=True)
        assert all(t.isfinite().all() for t in gradients)


def test_batches_are_independent() -> None:
    parts = [[random_gaussians(n, 4, 10 * k + n) for k in range(6)] for n in (3, 5)]
    a, b = (
        Gaussians(
            mean=torch.stack([g.mean for g in side]).reshape(2, 3, -1, 4),
            covariance=torch.stack([g.covariance for g in side]).reshape(2, 3, -1, 4, 4),
        )
        for side in parts
    )
    for distance in DISTANCES:
        found = distance(a, b)
        assert found.shape == (2, 3, 3, 5)
        for k in range(6):
            torch.testing.assert_close(found[k // 3, k % 3], distance(parts[0][k], parts[1][k]))


@given(seed=st.integers(0, 10**6), exponent=st.sampled_from([-6, -2, 0, 3, 6]))
@settings(max_examples=20, deadline=None)
def test_vector_distances(seed: int, exponent: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(4, 7)) * 10.0**exponent, rng.normal(size=(3, 7)) * 10.0**exponent
    x, y = torch.tensor(a, dtype=torch.float32), torch.tensor(b, dtype=torch.float32)
    euclidean = ((a[:, None] - b[None]) ** 2).sum(-1)
    cosine = 1 - (a @ b.T) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(squared_euclidean(x, y), euclidean, rtol=1e-4)
    np.testing.assert_allclose(cosine_distance(x, y), cosine, atol=1e-5)


def test_zero_vectors_have_no_direction_and_no_gradient() -> None:
    vectors = torch.tensor([[0.0, 0.0], [1.0, 2.0]], requires_grad=True)
    distance = cosine_distance(vectors, vectors)
    assert distance[0].tolist() == [1.0, 1.0]
    torch.autograd.backward(distance.sum())
    assert vectors.grad is not None
    assert vectors.grad[0].tolist() == [0.0, 0.0]


def test_errors_name_the_remedy() -> None:
    a, b = random_gaussians(2, 3, 0), random_gaussians(2, 4, 0)
    for distance in DISTANCES:
        with pytest.raises(UsageError, match="channels"):
            distance(a, b)
    with pytest.raises(UsageError, match="covariance"):
        Gaussians(mean=torch.zeros(2, 3), covariance=torch.zeros(2, 3))
