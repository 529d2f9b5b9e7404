import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from rdc_sweeps.methods.method import Method, network_outputs
from rdc_sweeps.specs.method import Combined, CrossTask, DejaVu, JointSpaceMapping, RegionContrast
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.specs.training import AugmentationSpec, TrainingSpec

from .toy import ONE_LABEL, TASKS, ToyNetwork, outcome, toy_batch, toy_method, toy_network

TERMS: dict[str, dict[str, Any]] = {
    "cross_task": CrossTask(mapping=JointSpaceMapping(channels=(8, 16)), weight=0.5).model_dump(),
    "dejavu": DejaVu(channels=8, weight=2.0, ramp_epochs=2).model_dump(),
    "region_contrast": RegionContrast.model_validate(
        {"extraction": {"name": "patch", "size": 4}, "mapping": {"channels": [8, 8]}, "weight": 0.25}
    ).model_dump(),
}


def spec_of(*names: str) -> Combined:
    method = RunSpec.model_validate({"method": {"name": "combined", **{name: TERMS[name] for name in names}}}).method
    assert isinstance(method, Combined)
    return method


def combined(*names: str) -> Method:
    built: Method = toy_method(spec_of(*names))
    return built


def test_the_total_is_the_supervised_losses_and_each_term_with_its_weight() -> None:
    found = outcome(combined(*TERMS), toy_network(), toy_batch(ONE_LABEL, views=2), epoch=1.0)
    expected = sum(found[f"loss/{task}"] for task in TASKS)
    expected = expected + 0.5 * found["loss/consistency"] + 2.0 * 0.5 * found["loss/reconstruction"]
    torch.testing.assert_close(found["total"].detach(), expected + 0.25 * found["loss/contrast"])


@torch.no_grad()
def test_a_term_has_the_value_that_it_has_alone() -> None:
    batch, together = toy_batch(ONE_LABEL, views=2), combined("cross_task", "region_contrast")
    found = outcome(together, toy_network().eval(), batch)
    for name, reported in (("cross_task", "loss/consistency"), ("region_contrast", "loss/contrast")):
        alone = toy_method(getattr(spec_of("cross_task", "region_contrast"), name))
        alone.terms[name].load_state_dict(together.terms[name].state_dict())  # type: ignore[index, union-attr]
        torch.testing.assert_close(outcome(alone, toy_network().eval(), batch)[reported], found[reported])


@pytest.mark.parametrize(
    "names", [("cross_task", "dejavu"), ("dejavu", "region_contrast"), ("cross_task", "region_contrast")], ids="+".join
)
def test_any_two_train_the_network_and_their_own_parameters(names: tuple[str, ...]) -> None:
    network, built = toy_network(), combined(*names)
    outcome(built, network, toy_batch(ONE_LABEL, views=2))["total"].backward()
    for module in (network, *built.terms.values()):  # type: ignore[operator]
        gradients = [value.grad for value in module.parameters() if value.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert any(gradient.any() for gradient in gradients)


def test_the_mappings_of_all_terms_have_film_parameters() -> None:
    film = combined("cross_task", "region_contrast").film_parameters()
    alone = [toy_method(getattr(spec_of("cross_task", "region_contrast"), name)) for name in TERMS if name != "dejavu"]
    assert len(film) == sum(len(method.film_parameters()) for method in alone) > 0


def test_the_order_of_terms_does_not_matter_and_absent_ones_are_no_part_of_the_id() -> None:
    one = RunSpec.model_validate({"method": {"name": "combined", "dejavu": {}, "cross_task": {}}})
    other = RunSpec.model_validate({"method": {"name": "combined", "cross_task": {}, "dejavu": {}}})
    assert run_id(one) == run_id(other)
    assert one.model_dump()["method"].keys() == {"name", "dejavu", "cross_task"}
    assert RunSpec.model_validate(one.model_dump(mode="json")) == one
    assert pickle.loads(pickle.dumps(one)) == one  # specs are sent to worker processes


def test_one_term_alone_is_no_combination() -> None:
    with pytest.raises(ValidationError, match=r"needs at least two of region_contrast, cross_task, dejavu"):
        RunSpec.model_validate({"method": {"name": "combined", "dejavu": {}}})


def test_what_a_term_needs_of_the_data_is_checked_and_the_message_names_the_term() -> None:
    with pytest.raises(ValidationError, match=r"method\.dejavu\.redaction\.block: a block of 999 covers 288x384"):
        RunSpec.model_validate(
            {
                "method": {
                    "name": "combined",
                    "cross_task": {},
                    "dejavu": {"redaction": {"name": "checkerboard", "block": 999}},
                }
            }
        )


class _Normalised(ToyNetwork):
    """A toy network with a batch norm in front."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3, affine=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return super().forward(self.norm(image))


@pytest.mark.parametrize(("view_norm", "mixed"), [("together", True), ("apart", False)])
@torch.no_grad()
def test_views_pass_the_networks_batch_norms_together_or_apart(view_norm: Any, mixed: bool) -> None:
    torch.manual_seed(0)
    network, batch = _Normalised(), toy_batch(ONE_LABEL, views=2)
    other = replace(batch, views=(batch.views[0], replace(batch.views[1], image=batch.views[1].image * 3 + 1)))
    first = [
        network_outputs(network, one, last_view=True, encoder=True, view_norm=view_norm).first["depth"]
        for one in (batch, other)
    ]
    assert torch.equal(*first) is not mixed


@pytest.mark.parametrize(("view_norm", "same"), [("together", False), ("apart", True)])
@torch.no_grad()
def test_only_the_first_view_changes_running_statistics_if_views_are_apart(view_norm: Any, same: bool) -> None:
    batch = toy_batch(ONE_LABEL, views=2)
    network, alone = _Normalised(), _Normalised()
    network_outputs(network, batch, last_view=True, encoder=False, view_norm=view_norm)
    alone(batch.views[0].image)
    assert torch.equal(network.norm.running_mean, alone.norm.running_mean) is same  # type: ignore[arg-type]
    assert torch.equal(network.norm.running_var, alone.norm.running_var) is same  # type: ignore[arg-type]


@pytest.mark.parametrize("view_norm", ["together", "apart"])
@torch.no_grad()
def test_terms_see_the_last_view_and_its_encoder_outputs(view_norm: Any) -> None:
    network, batch = toy_network().eval(), toy_batch(ONE_LABEL, views=2)
    outputs = network_outputs(network, batch, last_view=True, encoder=True, view_norm=view_norm)
    for view, predictions in zip(batch.views, (outputs.first, outputs.last), strict=True):
        expected = network(view.image)
        for task in TASKS:
            torch.testing.assert_close(predictions[task], expected[task])
    alone = network.backbone(batch.views[1].image)  # type: ignore[misc]
    for found, wanted in zip(outputs.encoder, alone, strict=True):
        torch.testing.assert_close(found, wanted)


def test_a_runs_augmentation_says_how_views_are_normalised() -> None:
    training = TrainingSpec(augmentation=AugmentationSpec(view_norm="together"))
    assert toy_method(spec_of("cross_task", "dejavu"), training=training).view_norm == "together"
