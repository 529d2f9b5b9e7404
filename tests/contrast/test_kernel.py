"""The fused kernel in Triton's interpreter against the batched products, and when it is used."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rdc_sweeps.contrast import index_regions, kernel_choice, region_contrast
from rdc_sweeps.contrast.kernel_choice import chosen, compare, example
from rdc_sweeps.contrast.polar import NuclearNorms, batched_polar_factors, fused_polar_factors
from rdc_sweeps.specs.contrast import GaussianContrast
from tests.contrast.test_loss import scene
from tests.devices import CUDA, as_on_a_gpu

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")

NAME = "NVIDIA A100-SXM4-80GB"
FASTER = {"difference": 1e-7, "kernel_seconds": 1.0, "batched_seconds": 2.0}


@pytest.fixture(autouse=True)
def _off_again() -> Iterator[None]:
    yield
    kernel_choice.configure("off", None)


def values_and_gradients(d: int, device: str) -> tuple[Tensor, Tensor]:
    factors, left, right, norms = example(torch.device(device), d, 4)
    factors.requires_grad_()
    values = NuclearNorms.apply(factors, left, right, norms, [])
    weights = torch.linspace(0.5, 2.0, len(values), device=device)
    (gradient,) = torch.autograd.grad((weights * values).sum(), factors)
    return values.detach(), gradient


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("keep_bytes", [2**30, 0], ids=["kept", "computed again"])
@pytest.mark.parametrize("d", [16, 32, 64])
def test_values_and_gradients_are_those_of_batched_products(
    d: int, keep_bytes: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdc_sweeps.contrast.polar.KEEP_BYTES", keep_bytes)
    monkeypatch.setattr("rdc_sweeps.contrast.polar._chunk_size", lambda _: 4)  # two chunks, of four and two pairs
    values, gradient = values_and_gradients(d, device)
    launched: list[int] = []
    real = fused_polar_factors

    def watched(*arguments: Any, **options: Any) -> Any:
        launched.append(len(arguments[1]))
        return real(*arguments, **options)

    monkeypatch.setattr("rdc_sweeps.contrast.polar.fused_polar_factors", watched)
    kernel_choice.configure("on", None)
    found, its_gradient = values_and_gradients(d, device)
    assert launched == ([6] if keep_bytes else [6, 6])
    # Compiled for a GPU, both ways have roundings of their own.
    tolerance = 1e-6 if device == "cpu" else kernel_choice.TOLERANCE
    torch.testing.assert_close(found, values, rtol=tolerance, atol=0)
    assert (its_gradient - gradient).norm() <= 20 * tolerance * gradient.norm()


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_the_loss_and_its_gradient_are_the_same(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    as_on_a_gpu(monkeypatch)
    prediction, label, regions = scene(3, batch=1, d=16, number=3, size=(12, 16))
    found = []
    for mode in ("off", "on"):
        kernel_choice.configure(mode, None)
        sides = [side.float().to(device).requires_grad_() for side in (prediction, label)]
        index = index_regions(regions).to(device)
        loss = region_contrast(sides[0], sides[1], index, GaussianContrast(), min_pixels=2).loss
        found.append((loss.detach(), *torch.autograd.grad(loss, sides)))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("capability", "d"), [(80, 32), (90, 64)])
def test_it_compiles_for_gpus(capability: int, d: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To machine code of the A100 and the H100; this needs no GPU."""
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from rdc_sweeps.contrast import kernel

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    names = "factors", "left", "right", "norms", "coefficients", "polars", "products"
    types = {name: "*i64" if name in ("left", "right") else "*fp32" for name in names}
    source = ASTSource(
        triton.JITFunction(kernel._iterate), {**types, "STEPS": "constexpr", "D": "constexpr"}, {(7,): 10, (8,): d}
    )
    assert triton.compile(source, target=GPUTarget("cuda", capability, 32)).asm["cubin"]


@pytest.mark.parametrize(("d", "dtype"), [(8, torch.float32), (16, torch.float64)])
def test_what_the_kernel_cannot_do_is_left_to_batched_products(d: int, dtype: torch.dtype) -> None:
    kernel_choice.configure("on", None)
    factors = torch.eye(d, dtype=dtype).expand(2, d, d)
    assert not kernel_choice.wanted(factors, batched_polar_factors, fused_polar_factors)


def test_without_a_gpu_it_is_off_unless_asked_for() -> None:
    factors = torch.eye(16).expand(2, 16, 16)
    expected: dict[kernel_choice.Mode, bool] = {"off": False, "auto": False, "on": True}
    for mode, used in expected.items():
        kernel_choice.configure(mode, None)
        assert kernel_choice.wanted(factors, batched_polar_factors, fused_polar_factors) is used


def no_measurement() -> dict[str, Any]:
    raise AssertionError("measured again")


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (FASTER, True),
        ({**FASTER, "kernel_seconds": 3.0}, False),
        ({**FASTER, "difference": 1e-3}, False),
        ({"error": "CompilationError: no"}, False),
    ],
)
def test_the_kernel_is_used_if_it_was_measured_to_be_right_and_faster(
    measured: dict[str, Any], expected: bool, tmp_path: Path
) -> None:
    assert chosen(NAME, 32, tmp_path, lambda: measured) is expected
    assert chosen(NAME, 32, tmp_path, no_measurement) is expected, "the measurement is kept"
    with pytest.raises(AssertionError, match="measured again"):
        chosen(NAME, 16, tmp_path, no_measurement)
    with pytest.raises(AssertionError, match="measured again"):
        chosen("another GPU", 32, tmp_path, no_measurement)


@pytest.mark.parametrize("damage", ["{", "[]", '{"32": 5}', '{"32": {"versions": {"torch": "1.0"}}}'])
def test_a_measurement_that_is_damaged_or_of_other_versions_is_made_again(damage: str, tmp_path: Path) -> None:
    chosen(NAME, 32, tmp_path, lambda: FASTER)
    (path,) = tmp_path.iterdir()
    path.write_text(damage)
    assert chosen(NAME, 32, tmp_path, lambda: FASTER)
    assert json.loads(path.read_text())["32"]["kernel_seconds"] == 1.0


def test_a_measurement_that_cannot_be_kept_counts_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="is not kept"):
        assert chosen(NAME, 32, tmp_path / "file", lambda: FASTER)


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_a_comparison_measures_both_ways(device: str) -> None:
    found = compare(torch.device(device), 16, batched_polar_factors, fused_polar_factors, gaussians=3)
    assert found["difference"] < kernel_choice.TOLERANCE
    assert found["kernel_seconds"] > 0
    assert found["batched_seconds"] > 0

    def broken(*_: Any) -> Any:
        raise RuntimeError("no such device")

    assert compare(torch.device(device), 16, batched_polar_factors, broken, 3) == {
        "error": "RuntimeError: no such device"
    }
