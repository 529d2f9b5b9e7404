from dataclasses import replace
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.methods.cross_task import PROJECTION_SEED, encoder_feature
from rdc_sweeps.methods.method import Method, encoder_outputs
from rdc_sweeps.models.mapping import TaskMaps, build_mapping
from rdc_sweeps.models.registry import build_network
from rdc_sweeps.models.shown import label_input, prediction_input
from rdc_sweeps.specs.backbone import (
    BackboneSpec,
    DiffusionSpec,
    EfficientNetLite0Spec,
    Hrnet18Spec,
    NoWeights,
    SegNetSpec,
)
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import CrossTask, FeatureKind, JointSpaceMapping

from .toy import (
    CLASSES,
    ONE_LABEL,
    TASKS,
    fill_withheld_labels,
    outcome,
    toy_batch,
    toy_method,
    toy_network,
    toy_view,
)

SMALL = JointSpaceMapping(channels=(8, 16))
GRANTED: dict[str, tuple[tuple[Task, ...], list[list[bool]]]] = {
    "one label of three": (TASKS, ONE_LABEL),
    "one or two labels": (TASKS, [[True, True, False], [False, False, True]]),
    "full": (TASKS, [[True, True, True], [True, True, True]]),
    "one label of two": (("semantic", "depth"), [[True, False], [False, True]]),
    "full, two tasks": (("semantic", "depth"), [[True, True]]),
}


def method(tasks: tuple[Task, ...] = TASKS, regulariser: float = 0.5, mapping: JointSpaceMapping = SMALL) -> Method:
    spec = CrossTask(mapping=mapping, regulariser=regulariser)
    built: Method = toy_method(spec, tasks)
    return built


def test_a_theta_of_nyuv2_has_the_published_size() -> None:
    mapping = build_mapping(CrossTask().mapping, TASKS, 13)
    assert round(sum(parameter.numel() for parameter in mapping.parameters()) / 1e6, 1) == 14.8
    assert mapping.stride == 32
    assert mapping.out_channels == 512


@pytest.mark.parametrize("regulariser", [0.0, 0.5])
@pytest.mark.parametrize(("tasks", "granted"), GRANTED.values(), ids=GRANTED.keys())
@torch.no_grad()
def test_the_loss_is_that_of_a_loop_over_images_and_pairs(
    tasks: tuple[Task, ...], granted: list[list[bool]], regulariser: float
) -> None:
    single = SMALL.model_copy(update={"norm": "single"})
    network, built, batch = toy_network(tasks).eval(), method(tasks, regulariser, single), toy_batch(granted)
    mapping = built.terms["cross_task"].mapping  # type: ignore[index, union-attr]
    for parameter in built.film_parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    network.heads["semantic"].weight.mul_(1e6)  # type: ignore[operator]  # no Gumbel noise changes a class
    view = batch.views[0]
    with encoder_outputs(network) as maps:
        predictions = network(view.image)

    def mapped(task: Task, map_: Tensor, pair: int) -> Tensor:
        features: Tensor = mapping({task: TaskMaps([map_], torch.tensor([0]))}, torch.tensor([pair]))
        return features[0]

    def distance(one: Tensor, other: Tensor) -> Tensor:
        one, other = one.flatten(1), other.flatten(1)
        cosines = [(a @ b) / max(float(a.norm() * b.norm()), 1e-12) for a, b in zip(one.T, other.T, strict=True)]
        return 1 - torch.stack(cosines).mean()

    expected = torch.zeros(())
    for image, row in enumerate(granted):
        ordered = [(t, s) for t in range(len(tasks)) for s in range(len(tasks)) if t != s]
        for pair, (t, s) in enumerate(ordered):
            if not row[s] or (row[t] and not all(row)):
                continue
            prediction = mapped(
                tasks[t], prediction_input(tasks[t], predictions[tasks[t]][image, None], torch.rand), pair
            )
            label = mapped(tasks[s], label_input(tasks[s], view.labels[tasks[s]][image, None], CLASSES), pair)
            feature = encoder_feature([scale[image, None] for scale in maps], 16, (8, 12), "resized")[0]
            expected = expected + distance(prediction, label)
            expected = expected + regulariser * (distance(prediction, feature) + distance(label, feature))
    found = outcome(built, network, batch)["loss/consistency"]
    torch.testing.assert_close(found, expected / len(granted), rtol=1e-4, atol=1e-5)


def test_gradients_reach_predictions_of_unlabelled_tasks_and_the_mapping() -> None:
    network, built = toy_network(), method()
    outcome(built, network, toy_batch([[False, True, False]]))["total"].backward()
    for task in ("semantic", "normal"):
        gradient = network.heads[task].weight.grad
        assert isinstance(gradient, Tensor)
        assert gradient.abs().sum() > 0, task
    used = {name for name, parameter in built.named_parameters() if parameter.grad is not None}
    assert used == {name for name, _ in built.named_parameters()}
    assert sum(float(film.grad.abs().sum()) for film in built.film_parameters() if film.grad is not None) > 0


def test_the_encoder_feature_has_no_gradient() -> None:
    network = toy_network()
    with encoder_outputs(network) as maps:
        network(toy_view(1).image)
    assert [tuple(scale.shape) for scale in maps] == [(1, 6, 8, 12), (1, 4, 4, 6)]
    assert not any(scale.requires_grad for scale in maps)
    network(toy_view(2).image)
    assert len(maps[0]) == 1  # only while inside


def test_parts_add_up_with_the_weight_and_its_ramp() -> None:
    spec = CrossTask(mapping=SMALL, ramp_epochs=4)
    for epoch, weight in ((0.0, 0.0), (1.0, 0.5), (4.0, 2.0), (9.0, 2.0)):
        found = outcome(toy_method(spec), toy_network(), toy_batch(ONE_LABEL), epoch)
        supervised = sum(found[f"loss/{task}"] for task in TASKS)
        torch.testing.assert_close(found["total"].detach(), supervised + weight * found["loss/consistency"])
        assert found["loss/consistency"] > 0


def test_the_second_view_is_mapped_and_the_first_supervised() -> None:
    network, built, two = toy_network().eval(), method().eval(), toy_batch(ONE_LABEL, views=2)
    first, second = (outcome(built, network, replace(two, views=(view,))) for view in two.views)
    both = outcome(built, network, two)
    torch.testing.assert_close(both["loss/depth"], first["loss/depth"])
    torch.testing.assert_close(both["loss/consistency"], second["loss/consistency"])
    two.views[0].labels["depth"].fill_(7.0)
    changed = outcome(built, network, two)
    assert torch.equal(changed["loss/consistency"], both["loss/consistency"])


@pytest.mark.parametrize(("tasks", "granted"), GRANTED.values(), ids=GRANTED.keys())
def test_labels_that_are_withheld_do_not_enter(tasks: tuple[Task, ...], granted: list[list[bool]]) -> None:
    network, built, batch = toy_network(tasks), method(tasks), toy_batch(granted, views=2)
    expected = outcome(built, network, batch)
    fill_withheld_labels(batch)
    assert all(torch.equal(value, expected[name]) for name, value in outcome(built, network, batch).items())


@pytest.mark.parametrize(("divisor", "same"), [(None, True), (2.0, False)])
def test_the_scale_of_depth_matters_if_all_maps_are_divided_by_one_number(divisor: float | None, same: bool) -> None:
    built = method(mapping=SMALL.model_copy(update={"depth_divisor": divisor}))
    one, deeper = (toy_batch([[False, True, False], [False, True, False]]) for _ in range(2))
    deeper.views[0].labels["depth"][0] *= 4
    losses = [float(outcome(built, toy_network(), batch)["loss/consistency"]) for batch in (one, deeper)]
    assert (losses[0] == pytest.approx(losses[1], rel=1e-4)) == same


def test_an_image_without_labels_has_no_consistency() -> None:
    found = outcome(method(), toy_network(), toy_batch([[False, False, False]]))
    assert found["loss/consistency"] == 0


def test_a_pooled_feature_of_a_thetas_width_is_not_projected() -> None:
    scale = torch.randn(2, 8, 8, 12)
    assert torch.equal(encoder_feature([scale], 8, (4, 6), "pooled"), F.avg_pool2d(scale, 2))


def test_pooling_spreads_a_coarser_encoder_over_a_thetas_output() -> None:
    scale = torch.randn(1, 3, 2, 3)
    expected = scale.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.equal(encoder_feature([scale], 3, (4, 6), "pooled"), expected)


def bilinear(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resizing of (C, H, W) by its definition: between the centres of cells, constant beyond the outermost."""
    (_, height, width), found = maps.shape, maps.new_zeros(maps.shape[0], *size)
    for row in range(size[0]):
        for column in range(size[1]):
            down = max((row + 0.5) * height / size[0] - 0.5, 0)
            right = max((column + 0.5) * width / size[1] - 0.5, 0)
            for y, by in ((int(down), 1 - down % 1), (min(int(down) + 1, height - 1), down % 1)):
                for x, bx in ((int(right), 1 - right % 1), (min(int(right) + 1, width - 1), right % 1)):
                    found[:, row, column] += by * bx * maps[:, y, x]
    return found


@torch.no_grad()
@pytest.mark.parametrize("size", [(3, 4), (8, 12), (10, 14)])
def test_a_resized_feature_is_that_of_layers_that_see_one_image_at_a_time(size: tuple[int, int]) -> None:
    maps = [torch.randn(2, 6, 8, 12).double(), torch.randn(2, 4, 4, 6).double()]
    convolution = nn.Conv2d(10, 16, 3, padding=1, bias=False)
    nn.init.xavier_normal_(convolution.weight, generator=torch.Generator().manual_seed(PROJECTION_SEED))
    layers = nn.Sequential(convolution, nn.BatchNorm2d(16), nn.ReLU()).double()
    found = encoder_feature(maps, 16, size, "resized")
    for image in range(2):
        joined = torch.cat([maps[0][image], bilinear(maps[1][image], (8, 12))])
        expected = bilinear(layers(joined[None])[0], size)
        torch.testing.assert_close(found[image], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", get_args(FeatureKind))
@pytest.mark.parametrize("width", [4, 10, 64])
def test_a_feature_of_another_width_is_projected_the_same_way_in_every_run(width: int, kind: FeatureKind) -> None:
    maps = [torch.randn(2, 6, 8, 12), torch.randn(2, 4, 2, 3)]
    torch.manual_seed(1)
    first = encoder_feature(maps, width, (4, 6), kind)
    torch.manual_seed(2)
    assert torch.equal(first, encoder_feature(maps, width, (4, 6), kind))
    assert first.shape == (2, width, 4, 6)
    assert width == 10 or (first >= 0).all()
    assert 0 < (first > 0).float().mean() < 1


@pytest.mark.parametrize("kind", get_args(FeatureKind))
def test_a_share_without_images_has_an_empty_feature(kind: FeatureKind) -> None:
    maps = [torch.zeros(0, 6, 8, 12), torch.zeros(0, 4, 4, 6)]
    assert encoder_feature(maps, 16, (4, 6), kind).shape == (0, 16, 4, 6)


def test_segnets_feature_is_the_unchanged_output_of_its_encoder() -> None:
    torch.manual_seed(0)
    network = build_network(SegNetSpec(), TASKS, CLASSES, weights_root=None).eval()
    with encoder_outputs(network) as maps, torch.no_grad():
        network(torch.rand(1, 3, 64, 96))
    assert [tuple(scale.shape) for scale in maps] == [(1, 512, 2, 3)]
    assert all(torch.equal(encoder_feature(maps, 512, (2, 3), kind), maps[0]) for kind in get_args(FeatureKind))


@pytest.mark.parametrize(
    "backbone",
    [
        Hrnet18Spec(pretrained=NoWeights()),
        EfficientNetLite0Spec(pretrained=NoWeights()),
        SegNetSpec(),
        DiffusionSpec(encoder=EfficientNetLite0Spec(pretrained=NoWeights()), width=8),
    ],
    ids=lambda spec: spec.name,
)
def test_trains_every_backbone(backbone: BackboneSpec) -> None:
    torch.manual_seed(0)
    network = build_network(backbone, TASKS, CLASSES, weights_root=None)
    found = outcome(method(), network, toy_batch(ONE_LABEL, size=(64, 96)))
    found["total"].backward()
    assert 0 < found["loss/consistency"] < 2 * (1 + 2 * 0.5) * 2
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in network.parameters())


def test_works_under_bfloat16_autocast() -> None:
    network, built = toy_network(), method()
    with torch.autocast("cpu", torch.bfloat16):
        found = outcome(built, network, toy_batch(ONE_LABEL))
    assert found["loss/consistency"].dtype == torch.float32
    found["total"].backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in built.parameters())
