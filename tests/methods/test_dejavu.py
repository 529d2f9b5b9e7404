import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn
from torch import Tensor, nn

from rdc_sweeps.methods.dejavu import (
    RegenerationModule,
    checkerboard,
    condition,
    redact,
    without_band,
)
from rdc_sweeps.methods.method import fixed_running_statistics
from rdc_sweeps.methods.supervised import as_labels, supervised_losses
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import CheckerboardRedaction, DejaVu, SpectralRedaction

from .toy import (
    CLASSES,
    ONE_LABEL,
    TASKS,
    fill_withheld_labels,
    outcome,
    toy_batch,
    toy_method,
    toy_network,
    toy_term,
    toy_view,
)

SPECS = {"checkerboard": DejaVu(channels=8), "spectral": DejaVu(channels=8, redaction=SpectralRedaction())}
TWO: tuple[Task, ...] = ("semantic", "depth")


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
@pytest.mark.parametrize("tasks", [TASKS, TWO])
def test_every_tasks_head_and_the_module_get_gradients_without_any_label(tasks: tuple[Task, ...], spec: DejaVu) -> None:
    network, built = toy_network(tasks), toy_method(spec, tasks)
    outcome(built, network, toy_batch([[False] * len(tasks)] * 2))["total"].backward()
    for module in (network, built):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None
            assert parameter.grad.any(), name


@pytest.mark.parametrize(("tasks", "classes", "expected"), [(TASKS, 13, 25_251), (TWO, 7, 22_659)])
def test_parameters_of_the_module(tasks: tuple[Task, ...], classes: int, expected: int) -> None:
    built = RegenerationModule(tasks, classes, 32)
    assert sum(parameter.numel() for parameter in built.parameters()) == expected


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_the_loss_is_the_mean_squared_error_of_the_regenerated_image(spec: DejaVu) -> None:
    network, built, batch = toy_network(), toy_method(spec), toy_batch(ONE_LABEL)
    regeneration = built.terms["dejavu"].regeneration
    image = batch.views[0].image
    with torch.no_grad():
        network.heads["depth"].bias.add_(1)  # type: ignore[operator]
    inputs: dict[str, Any] = {}
    regeneration.layers.register_forward_hook(lambda _m, given, made: inputs.update(given=given[0], made=made))
    with torch.no_grad():
        found = outcome(built, network, batch)
        predictions = network(image)
    normal = predictions["normal"] / predictions["normal"].norm(dim=1, keepdim=True)
    expected = torch.cat(
        [
            redact(image, spec.redaction),
            predictions["semantic"].exp() / predictions["semantic"].exp().sum(1, keepdim=True),
            predictions["depth"] / predictions["depth"].amax((1, 2, 3), keepdim=True),
            (normal + 1) / 2,
        ],
        dim=1,
    )
    torch.testing.assert_close(inputs["given"], expected)
    squares = [(float(a) - float(b)) ** 2 for a, b in zip(inputs["made"].flatten(), image.flatten(), strict=True)]
    assert found["loss/reconstruction"].item() == pytest.approx(sum(squares) / len(squares), rel=1e-4)
    supervised = sum(found[f"loss/{task}"] for task in TASKS)
    torch.testing.assert_close(found["total"], supervised + found["loss/reconstruction"])


@pytest.mark.parametrize(("epoch", "share"), [(0.0, 0.0), (1.0, 0.25), (8.0, 1.0)])
def test_the_weight_ramps_up(epoch: float, share: float) -> None:
    built = toy_method(DejaVu(channels=4, weight=3.0, ramp_epochs=4))
    found = outcome(built, toy_network(), toy_batch(ONE_LABEL), epoch)
    supervised = sum(found[f"loss/{task}"] for task in TASKS)
    torch.testing.assert_close(found["total"].detach(), supervised + 3.0 * share * found["loss/reconstruction"])


@pytest.mark.parametrize("granted", [ONE_LABEL, [[True, True, False], [False, False, True]], [[True, True, True]]])
def test_labels_that_are_withheld_and_later_views_do_not_enter(granted: list[list[bool]]) -> None:
    network, built, batch = toy_network(), toy_method(SPECS["checkerboard"]), toy_batch(granted, views=2)
    expected = outcome(built, network, batch)
    fill_withheld_labels(batch)
    batch.views[1].image.zero_()
    assert all(torch.equal(value, expected[name]) for name, value in outcome(built, network, batch).items())


def test_the_size_of_normals_and_the_offset_of_logits_tell_the_module_nothing() -> None:
    normal = torch.randn(2, 3, 4, 6)
    lengths = torch.rand(2, 1, 4, 6) + 0.5
    torch.testing.assert_close(condition("normal", normal * lengths), condition("normal", normal))
    logits = torch.randn(2, CLASSES, 4, 6)
    torch.testing.assert_close(condition("semantic", logits + lengths), condition("semantic", logits))


def test_no_prediction_is_left_out_of_the_regeneration() -> None:
    built = toy_term(SPECS["checkerboard"]).regeneration.eval()
    image = toy_view(1).image
    predictions: dict[Task, Tensor] = {
        "semantic": torch.randn(1, CLASSES, 32, 48),
        "depth": torch.rand(1, 1, 32, 48),
        "normal": torch.randn(1, 3, 32, 48),
    }
    before = built(image, predictions)
    assert before.shape == image.shape
    for task in TASKS:
        assert not torch.equal(built(image, {**predictions, task: predictions[task].flip(3)}), before)


def test_the_predictions_help_to_regenerate_what_is_redacted() -> None:
    torch.manual_seed(0)
    classes = F.interpolate(torch.randint(0, 2, (8, 1, 16, 24)).float(), scale_factor=2)
    image = classes.expand(-1, 3, -1, -1) * 0.8 + 0.1
    informed: dict[Task, Tensor] = {"depth": classes + 0.5}
    blind: dict[Task, Tensor] = {"depth": torch.ones_like(classes)}
    errors = []
    for predictions in (informed, blind):
        torch.manual_seed(1)
        module = RegenerationModule(("depth",), CLASSES, 8)
        optimizer = torch.optim.Adam(module.parameters(), 0.02)
        for _ in range(60):
            optimizer.zero_grad()
            loss = F.mse_loss(module(redact(image, DejaVu().redaction), predictions), image)
            loss.backward()
            optimizer.step()
        errors.append(loss.item())
    assert errors[0] < 0.5 * errors[1]


def test_works_under_bfloat16_autocast() -> None:
    network, built = toy_network(), toy_method(SPECS["spectral"])
    with torch.autocast("cpu", torch.bfloat16):
        found = outcome(built, network, toy_batch(ONE_LABEL))
    assert found["loss/reconstruction"].dtype == torch.float32
    found["total"].backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in built.parameters())


sizes = st.integers(1, 24)


def image(height: int, width: int) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(height * 100 + width)) + 0.1


@settings(max_examples=30)
@given(sizes, sizes, st.integers(1, 9))
def test_a_checkerboard_keeps_every_other_block(height: int, width: int, block: int) -> None:
    full = image(height, width)
    redacted = checkerboard(full, block)
    for row in range(height):
        for column in range(width):
            stays = (row // block) % 2 == (column // block) % 2
            expected = full[:, :, row, column] if stays else torch.zeros(2, 3)
            assert torch.equal(redacted[:, :, row, column], expected)


def test_a_checkerboard_keeps_half_of_the_pixels() -> None:
    assert checkerboard(torch.ones(1, 1, 32, 48), 8).mean() == 0.5


def frequencies(height: int, width: int) -> Tensor:
    return torch.tensor([[math.hypot(u / height, v / width) for v in range(width)] for u in range(height)])


@pytest.mark.parametrize("band", [(0.1, None), (0.0, 0.3), (0.2, 0.5), (0.5, 2.0)])
@pytest.mark.parametrize("size", [(32, 48), (21, 17)])
def test_the_cosine_transform_lacks_the_band_and_nothing_else(
    size: tuple[int, int], band: tuple[float, float | None]
) -> None:
    full = image(*size).double()
    lower, upper = band
    before, after = (
        torch.from_numpy(dctn(x.numpy(), axes=(2, 3), norm="ortho")) for x in (full, without_band(full, *band))
    )
    frequency = frequencies(*size)
    removed = (frequency >= lower) & (frequency < (math.inf if upper is None else upper))
    assert removed.any()
    assert not removed.all()
    torch.testing.assert_close(after, torch.where(removed, 0.0, before), atol=1e-6, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(sizes, sizes, st.floats(0, 0.9), st.none() | st.floats(0.05, 2))
def test_energy_is_that_of_what_stays_plus_that_of_what_goes(
    height: int, width: int, lower: float, upper: float | None
) -> None:
    full = image(height, width).double()
    kept = without_band(full, lower, None if upper is None else lower + upper)
    gone = full - kept
    torch.testing.assert_close(kept.square().sum() + gone.square().sum(), full.square().sum(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(without_band(kept, lower, None if upper is None else lower + upper), kept)


def test_low_frequencies_hold_the_mean_and_their_removal_takes_it() -> None:
    full = image(16, 24)
    torch.testing.assert_close(without_band(full, 0.1, None).mean((2, 3)), full.mean((2, 3)))
    torch.testing.assert_close(without_band(full, 0.0, 0.1).mean((2, 3)), torch.zeros(2, 3), atol=1e-6, rtol=0)


def test_autocast_does_not_blur_the_spectrum() -> None:
    full = image(32, 48)
    with torch.autocast("cpu", torch.bfloat16):
        inside = without_band(full, 0.2, 0.5)
    assert torch.equal(inside, without_band(full, 0.2, 0.5))


def test_the_spec_chooses() -> None:
    full = image(16, 24)
    assert torch.equal(redact(full, CheckerboardRedaction(block=4)), checkerboard(full, 4))
    assert torch.equal(redact(full, SpectralRedaction(lower=0.2, upper=0.4)), without_band(full, 0.2, 0.4))


def test_cyclic_consistency_is_the_loss_of_the_regenerated_images_predictions_against_those_of_the_image() -> None:
    torch.manual_seed(3)
    spec = DejaVu(channels=8, weight=3.0, cyclic_weight=0.5, ramp_epochs=4)
    network, built, batch = toy_network(), toy_method(spec), toy_batch(ONE_LABEL)
    made: list[Tensor] = []
    built.terms["dejavu"].regeneration.register_forward_hook(lambda _m, _i, image: made.append(image.detach()))
    found = outcome(built, network, batch, epoch=1.0)
    with torch.no_grad():
        first, again = network(batch.views[0].image), network(made[0])
    everywhere = torch.ones(2, 3, dtype=torch.bool)
    expected = sum(supervised_losses(TASKS, again, as_labels(first), everywhere).values())
    torch.testing.assert_close(found["loss/cyclic"], expected)
    supervised = sum(found[f"loss/{task}"] for task in TASKS)
    terms = 3.0 * found["loss/reconstruction"] + 0.5 * found["loss/cyclic"]
    torch.testing.assert_close(found["total"].detach(), supervised + 0.25 * terms)
    alone = outcome(toy_method(DejaVu(channels=8)), toy_network(), batch)
    assert "loss/cyclic" not in alone


def test_regenerated_images_do_not_enter_running_statistics_but_train_the_network() -> None:
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    image, other = torch.rand(2, 3, 4, 4), 5 + torch.rand(2, 3, 4, 4)
    for network in networks:
        network(image)
    with fixed_running_statistics(networks[1]):
        networks[1](other).square().sum().backward()
    for name in ("running_mean", "running_var"):
        assert torch.equal(getattr(networks[0][1], name), getattr(networks[1][1], name))
    assert networks[1][0].weight.grad is not None
    assert networks[1][1].momentum == 0.1
