import math
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor

from rdc_sweeps.errors import WeightsError
from rdc_sweeps.models.diffusion import DiffusionNetwork, NoiseSchedule
from rdc_sweeps.models.registry import build_network, check_pretrained
from rdc_sweeps.specs.backbone import (
    DiffusionSpec,
    EfficientNetLite0Spec,
    FileWeights,
    Hrnet18Spec,
    NoWeights,
    ResNet18Spec,
    TimmWeights,
)
from rdc_sweeps.specs.base import Task

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
SUBSETS = [subset for count in (1, 2, 3) for subset in combinations(TASKS, count)]
CHANNELS = {"semantic": 13, "depth": 1, "normal": 3}
VARIANTS: tuple[Literal["prediction", "feature"], ...] = ("prediction", "feature")
LITE = EfficientNetLite0Spec(pretrained=NoWeights())
betas = st.lists(st.floats(1e-4, 0.9), min_size=1, max_size=6)


def build(
    denoise: Literal["prediction", "feature"] = "feature", tasks: Sequence[Task] = TASKS, **fields: object
) -> DiffusionNetwork:
    torch.manual_seed(0)
    spec = DiffusionSpec.model_validate({"encoder": LITE, "denoise": denoise, "width": 8, "stride": 4, **fields})
    network = build_network(spec, tasks, 13, weights_root=None)
    assert isinstance(network, DiffusionNetwork)
    return network


def images(count: int = 2, seed: int = 0, size: tuple[int, int] = (64, 96)) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def same(one: Mapping[Any, Tensor], other: Mapping[Any, Tensor]) -> bool:
    return all(torch.equal(maps, other[task]) for task, maps in one.items())


@given(betas)
def test_each_step_of_noise_follows_from_the_one_before(variances: list[float]) -> None:
    schedule = NoiseSchedule(tuple(variances))
    clean, noise = torch.tensor(1.7, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)
    mean, variance = 1.7, 0.0
    for step, beta in enumerate(variances):
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        assert schedule.noised(clean, step, None).item() == pytest.approx(mean, rel=1e-12)
        assert (schedule.noised(clean, step, noise).item() - mean) ** 2 == pytest.approx(variance, rel=1e-9)
        assert schedule.kept(step) == pytest.approx(1 - variance, rel=1e-9)


@given(betas.filter(lambda variances: len(variances) > 1), st.floats(-3, 3), st.floats(-3, 3))
def test_a_step_back_is_drawn_from_the_posterior_of_bayes(variances: list[float], clean: float, noised: float) -> None:
    schedule = NoiseSchedule(tuple(variances))
    step = len(variances) - 1
    beta, before = variances[step], math.prod(1 - beta for beta in variances[:step])
    # The product of N(x_t; sqrt(1 - beta) x, beta) and N(x; sqrt(before) x_0, 1 - before) as a function of x.
    precision = (1 - beta) / beta + 1 / (1 - before)
    mean = (math.sqrt(1 - beta) * noised / beta + math.sqrt(before) * clean / (1 - before)) / precision
    known, seen = torch.tensor(clean, dtype=torch.float64), torch.tensor(noised, dtype=torch.float64)
    assert schedule.previous(known, seen, step, None).item() == pytest.approx(mean, rel=1e-8, abs=1e-9)
    drawn = schedule.previous(known, seen, step, torch.ones((), dtype=torch.float64)).item()
    assert drawn - mean == pytest.approx(precision**-0.5, rel=1e-8)


@given(betas.filter(lambda variances: len(variances) > 1), st.floats(-3, 3), st.floats(-3, 3))
def test_a_step_back_is_that_of_implicit_models_with_the_same_noise(
    variances: list[float], clean: float, noised: float
) -> None:
    # Song et al. 2021, eq. 12, with the deviation of eq. 16 at eta = 1.
    step = len(variances) - 1
    before, after = (math.prod(1 - beta for beta in variances[:end]) for end in (step, step + 1))
    deviation = math.sqrt((1 - before) / (1 - after)) * math.sqrt(1 - after / before)
    direction = (noised - math.sqrt(after) * clean) / math.sqrt(1 - after)
    expected = math.sqrt(before) * clean + math.sqrt(max(1 - before - deviation**2, 0)) * direction + 0.7 * deviation
    known, seen, noise = (torch.tensor(value, dtype=torch.float64) for value in (clean, noised, 0.7))
    found = NoiseSchedule(tuple(variances)).previous(known, seen, step, noise)
    assert found.item() == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_before_the_first_step_the_signal_is_clean() -> None:
    clean, noised = torch.rand(2, 3), torch.rand(2, 3)
    torch.testing.assert_close(NoiseSchedule.of(3).previous(clean, noised, 0, torch.ones(2, 3)), clean)


def test_the_published_schedule_has_two_steps_of_growing_variance() -> None:
    assert NoiseSchedule.of(2).betas == pytest.approx((1e-3, 1e-2))
    assert NoiseSchedule.of(1).betas == pytest.approx((1e-3,))
    roots = [math.sqrt(beta) for beta in NoiseSchedule.of(5).betas]
    assert [after - before for before, after in pairwise(roots)] == pytest.approx(
        [(math.sqrt(1e-2) - math.sqrt(1e-3)) / 4] * 4
    )


@pytest.mark.parametrize("denoise", VARIANTS)
@pytest.mark.parametrize("tasks", SUBSETS, ids="-".join)
def test_both_stages_predict_every_task_at_full_size(
    denoise: Literal["prediction", "feature"], tasks: tuple[Task, ...]
) -> None:
    network = build(denoise, tasks).eval()
    stages = network.stages(images())
    assert len(stages) == 2
    for predictions in stages:
        assert {task: tuple(maps.shape) for task, maps in predictions.items()} == {
            task: (2, CHANNELS[task], 64, 96) for task in tasks
        }
        assert all(maps.isfinite().all() for maps in predictions.values())
    assert same(network(images()), stages[-1])
    assert not same(stages[0], stages[1])


@pytest.mark.parametrize("stride", [4, 8])
def test_maps_are_denoised_at_the_stride_of_the_spec(stride: int) -> None:
    network = build(stride=stride)
    seen: list[tuple[int, ...]] = []
    network.denoiser.register_forward_pre_hook(lambda _module, inputs: seen.append(tuple(inputs[1].shape)))
    network(images())
    assert set(seen) == {(2, 8, 64 // stride, 96 // stride)}


@pytest.mark.parametrize(("denoise", "channels"), [("prediction", {1, 3, 13}), ("feature", {8})])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_every_step_denoises_the_signals_of_the_variant(
    denoise: Literal["prediction", "feature"], channels: set[int], steps: int
) -> None:
    network = build(denoise, steps=steps)
    seen: list[tuple[str, int, int]] = []
    network.denoiser.register_forward_pre_hook(
        lambda _module, inputs: seen.append((inputs[0], inputs[1].shape[1], inputs[3]))
    )
    network(images())
    assert [(task, step) for task, _, step in seen] == [
        (task, step) for task in TASKS for step in reversed(range(steps))
    ]
    assert {count for _, count, _ in seen} == channels


@pytest.mark.parametrize("denoise", VARIANTS)
@pytest.mark.parametrize("steps", [1, 3])
def test_the_loss_of_both_stages_reaches_every_parameter(denoise: Literal["prediction", "feature"], steps: int) -> None:
    network = build(denoise, steps=steps)
    maps = [maps for stage in network.stages(images()) for maps in stage.values()]
    torch.autograd.backward(torch.stack([(one - 0.3).square().mean() for one in maps]).sum())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("denoise", VARIANTS)
def test_the_denoised_prediction_alone_trains_the_encoder(denoise: Literal["prediction", "feature"]) -> None:
    network = build(denoise)
    torch.autograd.backward(network(images())["depth"].square().mean())
    assert all(parameter.grad is not None for parameter in network.backbone.parameters())


def test_the_condition_has_no_gradient_to_predictions_but_depends_on_all_of_them() -> None:
    network = build("feature").eval()
    before = network(images())["depth"]
    torch.autograd.backward(before.square().mean())
    assert all(parameter.grad is None for parameter in network.first_heads.parameters())
    with torch.no_grad():
        network.get_submodule("first_heads.semantic").get_parameter("bias")[0] += 1
    assert not torch.equal(network(images())["depth"], before)


@pytest.mark.parametrize("denoise", VARIANTS)
def test_evaluation_is_deterministic_and_does_not_depend_on_the_batch(
    denoise: Literal["prediction", "feature"],
) -> None:
    network = build(denoise).eval()
    with torch.no_grad():
        together, alone = network(images(3)), network(images(3)[1:2])
        torch.manual_seed(17)
        assert same(together, network(images(3)))
    for task, maps in alone.items():
        torch.testing.assert_close(together[task][1:2], maps, atol=1e-5, rtol=1e-4)


def test_noise_belongs_to_the_image_and_the_pass() -> None:
    def trained(batch: Tensor, passes: int = 1, seed: int = 3) -> Tensor:
        network = build().train()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()  # So that images differ by their noise alone.
        torch.manual_seed(seed)
        with torch.no_grad():
            depths: list[Tensor] = [network(batch)["depth"] for _ in range(passes)]
        return depths[-1]

    batch = images(3)
    first = trained(batch)
    assert torch.equal(first, trained(batch, seed=4))
    torch.testing.assert_close(trained(batch[[2, 0]]), first[[2, 0]], atol=1e-5, rtol=1e-4)
    assert (trained(batch, passes=2) - first).abs().max() > 1e-4
    twins = trained(torch.cat([batch[:1], batch[:1] + 1e-6]))
    assert (twins[0] - twins[1]).abs().max() > 1e-4


def test_another_seed_of_the_run_has_other_noise() -> None:
    torch.manual_seed(0)
    first = build().noise_key
    torch.manual_seed(1)
    other = build_network(DiffusionSpec(encoder=LITE, width=8), TASKS, 13, weights_root=None)
    assert isinstance(other, DiffusionNetwork)
    assert other.noise_key != first


def test_a_restored_network_goes_on_as_it_would_have() -> None:
    network = build()
    network(images())
    restored = build()
    restored.load_state_dict(network.state_dict())
    assert same(network(images(seed=1)), restored(images(seed=1)))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_predictions_of_any_unit_are_denoised_alike(scale: float) -> None:
    # Disparities of 0.02 are as visible to the denoiser as logits of 10, and come back in their unit.
    network = build("prediction").eval()
    with torch.no_grad():
        before = network.stages(images())
        for name in ("weight", "bias"):
            network.get_submodule("first_heads.depth").get_parameter(name).mul_(scale)
        after = network.stages(images())
    for task in TASKS:
        factor = scale if task == "depth" else 1.0
        for old, new in zip(before, after, strict=True):
            torch.testing.assert_close(new[task], old[task] * factor, atol=1e-4 * factor, rtol=1e-3)


def test_a_prediction_of_zero_has_finite_gradients() -> None:
    network = build("prediction")
    with torch.no_grad():
        for parameter in network.first_heads.parameters():
            parameter.zero_()
    torch.autograd.backward(torch.stack([maps.mean() for maps in network(images()).values()]).sum())
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("denoise", VARIANTS)
def test_a_few_steps_lower_the_error_of_both_stages(denoise: Literal["prediction", "feature"]) -> None:
    network = build(denoise)
    batch = images()
    target = batch.mean(dim=1, keepdim=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    errors = []
    for _ in range(12):
        stages = torch.stack([(stage["depth"] - target).abs().mean() for stage in network.stages(batch)])
        optimizer.zero_grad()
        stages.sum().backward()
        optimizer.step()
        errors.append(stages.detach())
    assert (errors[-1] < 0.8 * errors[0]).all()


@pytest.mark.parametrize(
    "encoder",
    [LITE, Hrnet18Spec(pretrained=NoWeights()), ResNet18Spec(pretrained=NoWeights())],
    ids=lambda encoder: encoder.name,
)
def test_takes_every_encoder(encoder: EfficientNetLite0Spec | Hrnet18Spec | ResNet18Spec) -> None:
    network = build(encoder=encoder)
    assert network(images())["normal"].shape == (2, 3, 64, 96)


@pytest.mark.parametrize("denoise", VARIANTS)
def test_works_under_bfloat16_autocast(denoise: Literal["prediction", "feature"]) -> None:
    network = build(denoise)
    with torch.autocast("cpu", torch.bfloat16):
        stages = network.stages(images())
    torch.autograd.backward(torch.stack([maps.float().square().mean() for maps in stages[-1].values()]).sum())
    assert all(maps.isfinite().all() for stage in stages for maps in stage.values())


def test_works_in_double_precision() -> None:
    predictions = build("prediction").double()(images().double())
    assert all(maps.dtype == torch.float64 for maps in predictions.values())


def test_pretrained_weights_fit_the_encoder(tmp_path: Path) -> None:
    torch.manual_seed(7)
    whole = timm.create_model("tf_efficientnet_lite0").state_dict()
    save_file(whole, tmp_path / "w.safetensors")
    spec = DiffusionSpec(encoder=EfficientNetLite0Spec(pretrained=FileWeights(file="w.safetensors")), width=8)
    check_pretrained(spec, tmp_path)
    network = build_network(spec, TASKS, 13, weights_root=tmp_path)
    assert network.backbone is not None
    assert all(torch.equal(value, whole[key]) for key, value in network.backbone.body.state_dict().items())


def test_messages_about_weights_name_the_field_of_the_encoder(tmp_path: Path) -> None:
    spec = DiffusionSpec(encoder=EfficientNetLite0Spec(pretrained=FileWeights(file="w.safetensors")))
    with pytest.raises(WeightsError, match=r"backbone\.encoder\.pretrained\.file: 'w\.safetensors' is relative"):
        check_pretrained(spec, None)
    save_file({"other": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"or set backbone\.encoder\.pretrained to \{source: none\}"):
        check_pretrained(spec, tmp_path)
    with pytest.raises(WeightsError, match=r"backbone\.encoder\.pretrained\.tag: timm has no weights 'none'"):
        check_pretrained(DiffusionSpec(encoder=ResNet18Spec(pretrained=TimmWeights(tag="none"))), None)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", 0, "greater than or equal to 1"),
        ("width", 6, "multiple of 4"),
        ("stride", 16, "4 or 8"),
        ("denoise", "image", "'prediction' or 'feature'"),
        ("encoder", {"name": "segnet"}, "'hrnet18'"),
    ],
)
def test_wrong_values_say_what_is_valid(field: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DiffusionSpec.model_validate({field: value})
