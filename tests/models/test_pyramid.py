import pytest
import torch

from rdc_sweeps.models.network import Backbone, MultiTaskNetwork, task_channels
from rdc_sweeps.models.registry import build_network
from rdc_sweeps.specs.backbone import BackboneSpec, EfficientNetLite0Spec, Hrnet18Spec, NoWeights, ResNet18Spec
from rdc_sweeps.specs.base import Task

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
SPECS: tuple[BackboneSpec, ...] = (
    Hrnet18Spec(pretrained=NoWeights()),
    EfficientNetLite0Spec(pretrained=NoWeights()),
    ResNet18Spec(pretrained=NoWeights()),
)


def build(spec: BackboneSpec, tasks: tuple[Task, ...] = TASKS) -> MultiTaskNetwork:
    torch.manual_seed(0)
    return build_network(spec, tasks, 13, weights_root=None)


def backbone_of(spec: BackboneSpec) -> Backbone:
    backbone = build(spec).backbone
    assert backbone is not None
    return backbone


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_hrnet18_has_the_published_size() -> None:
    backbone = backbone_of(SPECS[0])
    assert backbone.channels == (18, 36, 72, 144)
    assert round(parameters(backbone) / 1e6, 2) == 3.86
    assert round(parameters(build(SPECS[0])) / 1e6, 2) == 4.09


def test_resnet18_has_bare_scales() -> None:
    backbone = backbone_of(SPECS[2])
    assert backbone.channels == (64, 128, 256, 512)
    # The published 11.7 M less the classification head.
    assert parameters(backbone) == 11_689_512 - 512 * 1000 - 1000


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_convolutional_backbones_give_strides_4_to_32(spec: BackboneSpec) -> None:
    backbone = backbone_of(spec)
    maps = backbone(torch.rand(2, 3, 64, 96))
    assert [tuple(features.shape) for features in maps] == [
        (2, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(backbone.channels, (4, 8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_predictions_have_the_size_of_the_image(spec: BackboneSpec) -> None:
    predictions = build(spec)(torch.rand(2, 3, 64, 96))
    assert {task: tuple(maps.shape) for task, maps in predictions.items()} == {
        "semantic": (2, 13, 64, 96),
        "depth": (2, 1, 64, 96),
        "normal": (2, 3, 64, 96),
    }


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_parameter_gets_a_gradient(spec: BackboneSpec) -> None:
    network = build(spec)
    sum(maps.square().mean() for maps in network(torch.rand(2, 3, 64, 64)).values()).backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_only_the_tasks_asked_for_are_predicted() -> None:
    assert list(build(SPECS[1], ("depth",))(torch.rand(2, 3, 32, 32))) == ["depth"]


def test_the_seed_determines_the_initialisation() -> None:
    first, again = build(SPECS[1]).state_dict(), build(SPECS[1]).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize(
    ("values", "black", "grey"),
    [
        ("unit", (0.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
        ("symmetric", (-1.0, -1.0, -1.0), (0.0, 0.0, 0.0)),
        ("imagenet", (-2.1179, -2.0357, -1.8044), (0.0655, 0.1964, 0.4178)),
    ],
)
def test_the_body_sees_what_the_spec_says(
    spec: BackboneSpec, values: str, black: tuple[float, ...], grey: tuple[float, ...]
) -> None:
    backbone = backbone_of(spec.model_copy(update={"input": values})).eval()
    seen: list[torch.Tensor] = []
    backbone.body.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    image = torch.zeros(2, 3, 32, 32)
    image[1] = 0.5
    backbone(image)
    for image_seen, expected in zip(seen[0], (black, grey), strict=True):
        torch.testing.assert_close(image_seen[:, 3, 5], torch.tensor(expected), atol=1e-4, rtol=0)


def test_unit_input_is_the_image_itself() -> None:
    backbone = backbone_of(SPECS[0])
    seen: list[torch.Tensor] = []
    backbone.body.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    image = torch.rand(2, 3, 32, 32)
    backbone(image)
    assert torch.equal(seen[0], image)


def test_normalisation_adds_nothing_to_the_state() -> None:
    assert all(
        name.split(".")[1] in ("body", "projections") for name in build(SPECS[1]).state_dict() if "heads" not in name
    )


def test_channels_of_maps_follow_the_classes() -> None:
    assert task_channels(("depth", "semantic"), 7) == {"depth": 1, "semantic": 7}


def test_works_under_bfloat16_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        predictions = build(SPECS[1])(torch.rand(2, 3, 32, 32))
    assert all(maps.isfinite().all() for maps in predictions.values())
