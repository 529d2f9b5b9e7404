"""Nuclear norms compiled for a CPU against those by batched products."""

from typing import Any

import numpy as np
import pytest
import torch
from numba import njit
from torch import Tensor

from rdc_sweeps.contrast import compiled
from rdc_sweeps.contrast.compiled import CompiledNuclearNorms, suits
from rdc_sweeps.contrast.kernel_choice import example
from rdc_sweeps.contrast.polar import NuclearNorms
from rdc_sweeps.contrast.tiles import multiply_add

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}


def values_and_gradient(norms_of: Any, factors: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    factors = factors.detach().requires_grad_()
    values = norms_of.apply(factors, *others)
    weights = torch.linspace(0.5, 2.0, len(values), dtype=values.dtype)
    (gradient,) = torch.autograd.grad((weights * values).sum(), factors)
    return values.detach(), gradient


def pairs_with_reach(d: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Fifteen pairs of factors; lower bounds of their singular values that ask for different schedules."""
    factors, left, right, _ = (value.to(dtype) if value.is_floating_point() else value for value in _example(d))
    singular = torch.linalg.svdvals(factors[left].mT @ factors[right])
    norms, reach = 1.01 * singular[:, 0], singular[:, -1] / singular[:, 0]
    return factors, left, right, norms, reach * torch.logspace(-12, -0.1, len(left), base=2, dtype=dtype)


def _example(d: int) -> tuple[Tensor, ...]:
    return example(torch.device("cpu"), d, 6)


@pytest.mark.parametrize("keep_bytes", [2**30, 0], ids=["kept", "computed again"])
@pytest.mark.parametrize("d", [16, 32, 48, 64])
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_values_and_gradients_are_those_of_batched_products(
    dtype: torch.dtype, d: int, keep_bytes: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "KEEP_BYTES", keep_bytes)
    factors, left, right, norms, reach = pairs_with_reach(d, dtype)
    assert suits(factors)
    expected = values_and_gradient(NuclearNorms, factors, left, right, norms, reach.tolist())
    found = values_and_gradient(CompiledNuclearNorms, factors, left, right, norms, reach)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= TOLERANCES[dtype] * other.norm()


def test_no_pairs_have_no_norms() -> None:
    factors = torch.eye(16).expand(2, -1, -1)
    none, empty = torch.arange(0), torch.zeros(0)
    values, gradient = values_and_gradient(CompiledNuclearNorms, factors, none, none, empty, empty)
    assert values.shape == (0,)
    assert not gradient.any()


def test_not_a_number_stays_so() -> None:
    factors, left, right, norms, reach = pairs_with_reach(16, torch.float32)
    factors[0, 3, 1] = reach[0] = norms[0] = torch.nan
    values = CompiledNuclearNorms.apply(factors, left, right, norms, reach)
    assert torch.equal(values.isnan(), (left == 0) | (right == 0))


def test_matrices_that_fill_no_vector_do_not_suit() -> None:
    assert not suits(torch.zeros(2, 12, 12))
    assert not suits(torch.zeros(2, 32, 32, device="meta"))


@njit  # type: ignore[untyped-decorator]
def products(a: Any, lower: Any, b: Any, other: Any, factor: Any, weight: Any, out: Any) -> None:
    multiply_add("plain", a, b, factor, None, weight, out[0])
    multiply_add("transposed", a, b, factor, None, weight, out[1])
    multiply_add("lower", lower, b, factor, other, weight, out[2])
    multiply_add("upper", lower, b, factor, other, weight, out[3])


@pytest.mark.parametrize("d", [16, 32, 48])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_are_those_of_numpy(d: int, dtype: Any) -> None:
    generator = np.random.default_rng(0)
    a, b, other = generator.standard_normal((3, d, d)).astype(dtype)
    lower, out = np.tril(a), np.full((4, d, d), np.nan, dtype)
    products(a, lower, b, other, dtype(0.5), dtype(3), out)
    expected = [a @ b / 2, a.T @ b / 2, lower @ b / 2 + 3 * other, lower.T @ b / 2 + 3 * other]
    np.testing.assert_allclose(out, np.stack(expected), rtol=0, atol=100 * float(np.finfo(dtype).eps))
