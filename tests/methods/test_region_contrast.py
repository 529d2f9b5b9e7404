from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rdc_sweeps.data.batches import Batch, View
from rdc_sweeps.data.noise import step_noise
from rdc_sweeps.methods.method import Method, Outputs, ViewNorm
from rdc_sweeps.methods.region_contrast import RegionContrastTerm
from rdc_sweeps.methods.registry import build_method
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import RegionContrast, Supervised
from rdc_sweeps.specs.training import AugmentationSpec, TrainingSpec

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
CLASSES = 5
SIZE = (32, 48)

STRATEGIES: dict[str, dict[str, Any]] = {
    "gaussian": {"contrast": {"name": "gaussian"}},
    "kl": {"contrast": {"name": "gaussian", "distance": "kl"}},
    "vector": {"contrast": {"name": "vector"}},
    "pixel": {"contrast": {"name": "pixel", "pixels_per_region": None}},
    "patch": {"extraction": {"name": "patch", "size": 4}},
}


class Predictions(nn.Module):
    """A network whose predictions are its parameters, per image of the batch."""

    def __init__(self, images: int) -> None:
        super().__init__()
        channels = {"semantic": CLASSES, "depth": 1, "normal": 3}
        self.maps = nn.ParameterDict({task: torch.randn(images, channels[task], *SIZE) for task in TASKS})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return dict(self.maps.items())

    def stages(self, image: Tensor) -> list[dict[str, Tensor]]:
        return [self(image)]


def contrast_spec(changes: dict[str, Any] | None = None) -> RegionContrast:
    return RegionContrast.model_validate({"mapping": {"channels": [8, 8]}, "min_pixels": 2, **(changes or {})})


def method(changes: dict[str, Any] | None = None, view_norm: ViewNorm = "apart") -> Method:
    torch.manual_seed(0)
    training = TrainingSpec(augmentation=AugmentationSpec(view_norm=view_norm))
    return build_method(contrast_spec(changes), TASKS, CLASSES, training)


def term(changes: dict[str, Any] | None = None) -> RegionContrastTerm:
    torch.manual_seed(0)
    return RegionContrastTerm(contrast_spec(changes), TASKS, CLASSES)


def view(images: int, seed: int = 0) -> View:
    generator = torch.Generator().manual_seed(seed)
    height, width = SIZE
    rows = torch.arange(height)[:, None] // 12
    columns = torch.arange(width) // 12
    return View(
        torch.rand(images, 3, *SIZE, generator=generator),
        {
            "semantic": torch.randint(-1, CLASSES, (images, *SIZE), generator=generator),
            "depth": torch.rand(images, 1, *SIZE, generator=generator) + 0.5,
            "normal": nn.functional.normalize(torch.randn(images, 3, *SIZE, generator=generator)),
        },
        (rows * 4 + columns).to(torch.int32).expand(images, -1, -1),
        torch.ones(images, *SIZE, dtype=torch.bool),
    )


def batch(granted: list[list[bool]], regions: Tensor | None = None) -> Batch:
    images = len(granted)
    one = view(images)
    if regions is not None:
        one = replace(one, regions=regions)
    return Batch(torch.arange(images), torch.tensor(granted), (one,), step_noise(0, 0, 0, range(images)))


def losses(network: nn.Module, built: Method, of: Batch) -> dict[str, Tensor]:
    built.train()
    result = built(network, of, 1.0)
    return {"total": result.total, **result.reported}


GRANTED = [[False, True, False], [True, False, True]]


@pytest.mark.parametrize("changes", STRATEGIES.values(), ids=STRATEGIES.keys())
def test_gradients_reach_predictions_of_unlabelled_tasks_and_the_mapping(changes: dict[str, Any]) -> None:
    network, built = Predictions(2), method(changes)
    losses(network, built, batch(GRANTED))["total"].backward()
    for image, task in ((0, "semantic"), (0, "normal"), (1, "depth")):
        gradient = network.maps[task].grad
        assert gradient is not None
        assert gradient[image].abs().sum() > 0, task
    assert all(parameter.grad is not None for parameter in built.parameters())
    assert sum(float(parameter.grad.abs().sum()) for parameter in built.film_parameters() if parameter.grad is not None)


def test_the_reported_parts_add_up_with_the_weight() -> None:
    found = losses(Predictions(2), method({"weight": 0.25}), batch(GRANTED))
    supervised = found["loss/semantic"] + found["loss/depth"] + found["loss/normal"]
    torch.testing.assert_close(found["total"].detach(), supervised + 0.25 * found["loss/contrast"])
    assert 0 <= found["contrast/accuracy"] <= 1


@pytest.mark.parametrize("changes", [STRATEGIES["gaussian"], STRATEGIES["vector"], STRATEGIES["pixel"]])
def test_permuting_region_ids_changes_nothing(changes: dict[str, Any]) -> None:
    network, built = Predictions(2), method(changes)
    plain = batch(GRANTED)
    regions = plain.views[0].regions
    assert regions is not None
    renamed = (torch.randperm(60000)[:100].to(torch.int32))[regions.long()]
    torch.testing.assert_close(
        losses(network, built, plain)["loss/contrast"],
        losses(network, built, batch(GRANTED, renamed))["loss/contrast"],
        rtol=1e-4,
        atol=1e-5,
    )


def test_an_image_without_regions_is_harmless_and_counts_as_nothing() -> None:
    network, built = Predictions(1), method()
    nothing = torch.full((1, *SIZE), -1, dtype=torch.int32)
    found = losses(network, built, batch(GRANTED[:1], nothing))
    assert found["loss/contrast"] == 0
    found["total"].backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in network.maps.values())


def test_a_one_pixel_region_is_left_out() -> None:
    network, built = Predictions(1), method({"region_stride": 1, "min_pixels": 2})
    plain = batch(GRANTED[:1])
    regions = plain.views[0].regions
    assert regions is not None
    with_hole, with_dot = regions.clone(), regions.clone()
    with_hole[:, 5, 7] = -1
    with_dot[:, 5, 7] = 99
    torch.testing.assert_close(
        losses(network, built, batch(GRANTED[:1], with_hole))["loss/contrast"],
        losses(network, built, batch(GRANTED[:1], with_dot))["loss/contrast"],
    )


def test_labels_that_are_withheld_do_not_enter() -> None:
    network, built = Predictions(2), method()
    plain = batch(GRANTED)
    expected = losses(network, built, plain)
    generator = torch.Generator().manual_seed(9)
    for column, task in enumerate(TASKS):
        label = plain.views[0].labels[task]
        withheld = ~plain.granted[:, column]
        noise = torch.rand(label.shape, generator=generator) * CLASSES
        label[withheld] = noise.to(label.dtype)[withheld]
    assert all(torch.equal(value, expected[name]) for name, value in losses(network, built, plain).items())


def test_full_supervision_contrasts_every_ordered_pair_and_weighs_images_alike() -> None:
    network, built = Predictions(1), method()
    full = losses(network, built, batch([[True, True, True]]))
    assert full["loss/contrast"] > 0
    full["total"].backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in network.maps.values())


def test_semantic_regions_are_the_classes_of_the_view() -> None:
    built = term({"extraction": {"name": "region", "regions": {"source": "semantic"}}, "region_stride": 1})
    one = view(1)
    regions = built.regions(replace(one, regions=None))
    assert torch.equal(regions, one.labels["semantic"].int())


def test_semantic_regions_may_be_connected_parts() -> None:
    regions = {"source": "semantic", "parts": "components"}
    built = term({"extraction": {"name": "region", "regions": regions}, "region_stride": 1, "region_pixel": "corner"})
    one = view(1)
    label = torch.zeros(1, *SIZE, dtype=torch.int64)
    label[:, :, 20] = 3  # cuts class 0 in two
    found = built.regions(replace(one, regions=None, labels={**one.labels, "semantic": label}))
    assert found[0, 0, [0, 19, 20, 21, 47]].tolist() == [0, 0, 1, 2, 2]


def test_an_image_without_semantic_label_has_its_stored_regions_or_none() -> None:
    one = view(2)
    one.labels["semantic"][0] = -1  # withheld
    one.labels["semantic"][1] = torch.arange(SIZE[1]) // 24
    extraction = {"name": "region", "regions": {"source": "semantic", "missing": "none"}}
    changes = {"extraction": extraction, "region_stride": 1, "pairs": "sum"}
    found = term(changes).regions(one)
    assert one.regions is not None
    assert torch.equal(found[0], one.regions[0])
    assert torch.equal(found[1], one.labels["semantic"][1].int())
    without = replace(one, regions=None)
    assert (term(changes).regions(without)[0] == -1).all()
    shown = Batch(torch.arange(2), torch.tensor(GRANTED), (without,), step_noise(0, 0, 0, range(2)))
    network = Predictions(2)
    losses(network, method(changes), shown)["total"].backward()
    contrasted = network.maps["normal"].grad
    assert contrasted is not None
    assert contrasted[0].abs().sum() == 0, "the image has no regions"
    depth = network.maps["depth"].grad
    assert depth is not None
    assert depth[1].abs().sum() > 0


@pytest.mark.parametrize("extraction", [{"name": "region"}, {"name": "patch", "size": 4}], ids=lambda one: one["name"])
def test_void_pixels_belong_to_no_region_unless_they_are_kept(extraction: dict[str, Any]) -> None:
    one = view(2)
    valid = one.valid.clone()
    valid[0, :10] = False
    valid[1, ::2] = False  # none of these is on the map of stride 2
    shown = {
        void: term({"extraction": extraction, "region_stride": 2, "void": void}).regions(replace(one, valid=valid))
        for void in ("masked", "kept")
    }
    assert (shown["kept"] >= 0).all()
    assert (shown["masked"][0, :5] < 0).all()
    assert torch.equal(shown["masked"][0, 5:], shown["kept"][0, 5:])
    assert torch.equal(shown["masked"][1], shown["kept"][1])


@pytest.mark.parametrize(("pixel", "first"), [("centre", 1), ("corner", 0)])
@pytest.mark.parametrize("source", ["stored", "semantic"])
def test_regions_are_read_at_a_pixel_of_each_block(pixel: str, first: int, source: str) -> None:
    one = view(2)
    extraction = {"name": "region", "regions": {"source": "semantic"} if source == "semantic" else {"source": "sam"}}
    shown = view_of(one, source)
    built = term({"extraction": extraction, "region_stride": 2, "region_pixel": pixel, "void": "kept"})
    whole = one.regions if source == "stored" else one.labels["semantic"]
    assert whole is not None
    assert torch.equal(built.regions(shown), whole[:, first::2, first::2].int())


def view_of(one: View, source: str) -> View:
    return one if source == "stored" else replace(one, regions=None)


def test_an_image_whose_labels_are_void_has_no_contrast_and_counts_as_zero() -> None:
    network, built = Predictions(2), method({"pairs": "sum"})
    whole = batch(GRANTED)
    alone = losses(network, built, whole)["loss/contrast"]
    valid = whole.views[0].valid.clone()
    valid[1] = False
    (one,) = whole.views
    found = losses(network, built, replace(whole, views=(replace(one, valid=valid),)))
    assert 0 < found["loss/contrast"] < alone
    valid[0] = False
    found = losses(network, built, replace(whole, views=(replace(one, valid=valid),)))
    assert found["loss/contrast"] == 0
    found["total"].backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in network.maps.values())


def test_patches_tile_the_region_map() -> None:
    built = term({"extraction": {"name": "patch", "size": 4}, "region_stride": 2})
    regions = built.regions(view(2))
    assert regions.shape == (2, 16, 24)
    assert len(regions[0].unique()) == 24
    assert torch.equal(regions[0], regions[1])


def test_the_second_view_is_contrasted_and_the_first_supervised() -> None:
    network, built = Predictions(2), method(view_norm="together")  # it has one map per view
    first, second = view(1, seed=3), view(1, seed=4)
    two = replace(batch(GRANTED[:1]), views=(first, second))
    losses(network, built, two)["total"].backward()
    depth, semantic = network.maps["depth"].grad, network.maps["semantic"].grad
    assert depth is not None
    assert semantic is not None
    assert depth[0].abs().sum() > 0  # supervised on view 1
    assert semantic[0].abs().sum() == 0
    assert semantic[1].abs().sum() > 0  # contrasted on view 2


@pytest.mark.parametrize(("epoch", "weight"), [(0.0, 0.0), (1.0, 0.5), (2.0, 1.0), (7.0, 1.0)])
def test_the_weight_ramps_up_linearly(epoch: float, weight: float) -> None:
    assert term({"weight": 1.0, "ramp_epochs": 2.0}).weight(epoch) == weight


def predictions(network: Predictions) -> dict[Task, Tensor]:
    return {task: network.maps[task] for task in TASKS}


def outputs(network: Predictions) -> Outputs:
    maps = predictions(network)
    return Outputs([maps], maps)


def test_before_the_start_the_mapping_is_trained_and_the_network_is_not() -> None:
    network, built = Predictions(2), term({"start_epoch": 1.0, "ramp_epochs": 2.0, "weight": 0.5})
    early = built(outputs(network), batch(GRANTED), 0.9)
    early.total.backward()
    assert all(value.grad is None for value in network.maps.values())
    assert all(parameter.grad is not None for parameter in built.parameters())
    assert [built.weight(epoch) for epoch in (0.0, 0.9, 1.0, 2.0, 3.0, 9.0)] == [0.5, 0.5, 0.0, 0.25, 0.5, 0.5]
    late = built(outputs(network), batch(GRANTED), 2.0)
    late.total.backward()
    assert any(value.grad is not None and value.grad.abs().sum() > 0 for value in network.maps.values())
    torch.testing.assert_close(early.reported["loss/contrast"], late.reported["loss/contrast"])


def test_detached_features_of_labels_change_the_gradient_of_the_mapping_alone() -> None:
    found = {}
    for features in ("trained", "detached"):
        torch.manual_seed(1)
        network, built = Predictions(2), term({"label_features": features})
        loss = built(outputs(network), batch(GRANTED), 1.0)
        loss.total.backward()
        first, *_ = built.film_parameters()
        found[features] = (loss.total.detach(), network.maps["normal"].grad, first.grad)
    (value, of_prediction, of_mapping), (same_value, same, other) = found.values()
    torch.testing.assert_close(value, same_value)
    torch.testing.assert_close(of_prediction, same)
    assert of_mapping is not None
    assert other is not None
    assert not torch.allclose(of_mapping, other)


@pytest.mark.parametrize("contrast", [{"name": "gaussian"}, {"name": "vector"}], ids=lambda one: one["name"])
def test_regions_of_other_images_are_negatives(contrast: dict[str, Any]) -> None:
    """Images 0 and 2 have their label for the same task, and image 1 is the only one with its labels."""
    network, built = Predictions(3), term({"contrast": {**contrast, "negatives": "images"}})
    of = batch([[False, True, False], [True, False, True], [False, True, False]])
    compared = built.compare(predictions(network), of)
    assert compared is not None
    used = {
        (int(image), int(task)): bool(value)
        for image, task, value in zip(
            compared.pairs.image, compared.pairs.predicted, compared.outcome.used, strict=True
        )
    }
    assert used == {(0, 0): True, (0, 2): True, (1, 1): False, (2, 0): True, (2, 2): True}
    assert compared.outcome.chance[compared.outcome.used].nanmean().item() == 0.5
    built(outputs(network), of, 1.0).total.backward()
    assert network.maps["semantic"].grad is not None
    assert network.maps["depth"].grad is None or network.maps["depth"].grad[1].abs().sum() == 0


def test_images_of_earlier_steps_are_negatives_of_an_image_that_is_alone() -> None:
    changes = {"contrast": {"name": "vector", "negatives": "images", "earlier_images": 2}}
    network, built = Predictions(1), term(changes)
    alone = batch([[False, True, False]])
    chances = []
    for _ in range(4):
        compared = built.compare(predictions(network), alone)
        assert compared is not None
        chances.append(compared.outcome.chance.nanmean().item())
    assert chances[0] != chances[0], "no other image yet"
    assert chances[1:] == pytest.approx([1 / 2, 1 / 3, 1 / 3])
    resumed = term(changes)
    resumed.load_state_dict(built.state_dict())
    found = [one(outputs(network), alone, 1.0).total for one in (built, resumed)]
    assert torch.equal(*found)


def test_supervised_is_the_sum_of_granted_losses() -> None:
    network = Predictions(2)
    found = build_method(Supervised(), TASKS, CLASSES, TrainingSpec())(network, batch(GRANTED), 0.0)
    torch.testing.assert_close(found.total, sum(found.reported.values()))
