"""Probes of runs: during a training, and of a checkpoint."""

from pathlib import Path
from typing import Any

import pytest
import torch

from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.document import Document, overlay
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.training.checkpoints import load_checkpoint
from rdc_sweeps.training.loop import train
from rdc_sweeps.training.probes import probe_batches, probe_run
from rdc_sweeps.training.setup import build_learner, open_data

from .small import small_run
from .test_loop import assert_same

PATCHES: dict[str, Any] = {"method": {"extraction": {"name": "patch", "size": 16}}}
"""Regions that need no maps."""


def trained(spec: RunSpec, settings: Settings, folder: Path) -> tuple[list[Any], dict[str, Any]]:
    training = train(spec, settings, folder / "last.pt")
    state = load_checkpoint(folder / "last.pt", run_id(spec))
    assert state is not None
    return training.history, state


@pytest.mark.slow
def test_probes_during_a_training_change_nothing_in_it(settings: Settings, tmp_path: Path) -> None:
    changes = {"training": {"epochs": 3}, **PATCHES}
    probed = RunSpec.model_validate(
        overlay(
            Document(small_run(changes).model_dump(mode="json")),
            Document({"training": {"probe": {"every": 2, "images": 4}}}),
        ).data
    )
    history, state = trained(probed, settings, tmp_path / "probed")
    plain, plain_state = trained(small_run(changes), settings, tmp_path / "plain")
    assert run_id(probed) == run_id(small_run(changes))
    assert [bool(record.probe) for record in history] == [False, True, True]  # every second, and the last
    assert [record.model_copy(update={"probe": {}}) for record in history] == plain
    for part in ("learner", "optimizer"):
        assert_same(state[part], plain_state[part])
    assert {"region_contrast/alignment", "region_contrast/cosine/depth", "region_contrast/accuracy/noise"} <= set(
        history[-1].probe
    )
    # The same as of its checkpoint afterwards.
    (found,) = probe_run(probed, state["learner"], settings, images=4)
    assert found.headline() == pytest.approx(history[-1].probe)


def test_probed_images_have_the_labels_that_the_training_does_not_see(settings: Settings) -> None:
    spec = small_run()
    build_missing_regions([spec], settings, lambda *_: None)
    data = open_data(spec, settings)
    (batch,) = probe_batches(spec, data, settings, images=3)
    assert len(batch.shown) == 4  # a whole batch
    assert len(batch.shown.views) == 1
    assert batch.shown.views[0].regions is not None
    for column, task in enumerate(spec.dataset.tasks):
        shown, label = batch.shown.views[0].labels[task], batch.labels[task]
        for image, granted in enumerate(batch.shown.granted[:, column].tolist()):
            void = torch.full_like(label[image], -1 if task == "semantic" else 0)
            assert torch.equal(shown[image], label[image] if granted else void)
            assert not torch.equal(label[image], void)
    two = probe_batches(spec, data, settings, images=100)
    assert [len(one.shown) for one in two] == [4, 4]  # all that there are
    other_seed = probe_batches(spec.model_copy(update={"seed": 5}), data, settings, images=3)
    assert torch.equal(other_seed[0].shown.views[0].image, batch.shown.views[0].image)


def test_true_regions_are_parts_of_all_semantic_labels_and_give_nothing_else_away(settings: Settings) -> None:
    spec = small_run()
    data = open_data(spec, settings)
    (batch,) = probe_batches(spec, data, settings, images=3, true_regions=True)
    (view,) = batch.shown.views
    assert view.regions is not None
    classes = batch.labels["semantic"]
    withheld = ~batch.shown.granted[:, 0]
    assert withheld.any()
    assert (view.labels["semantic"][withheld] == -1).all(), "the label itself stays withheld"
    for regions, label in zip(view.regions, classes, strict=True):
        assert torch.equal(regions < 0, label < 0)
        for region in regions[regions >= 0].unique():
            assert len(label[regions == region].unique()) == 1


def test_true_regions_are_for_terms_that_have_regions(settings: Settings) -> None:
    spec = small_run(PATCHES)
    state = build_learner(spec, settings).state_dict()
    with pytest.raises(UsageError, match="whose extraction is region"):
        probe_run(spec, state, settings, images=4, true_regions=True)


@pytest.mark.slow
def test_regions_of_semantic_labels_and_superpixels_elsewhere_are_trained_with(
    settings: Settings, tmp_path: Path
) -> None:
    regions = {"source": "semantic", "parts": "components", "missing": {"source": "superpixel", "segments": 12}}
    spec = small_run({"method": {"extraction": {"regions": regions}}})
    build_missing_regions([spec], settings, lambda *_: None)
    history, state = trained(spec, settings, tmp_path)
    assert all(record.losses["loss/contrast"] > 0 for record in history)
    (probed,) = probe_run(spec, state["learner"], settings, images=4)
    (true,) = probe_run(spec, state["learner"], settings, images=4, true_regions=True)
    assert {one.image for one in probed.regions} == {one.image for one in true.regions}
    assert probed.values != true.values


@pytest.mark.slow
def test_a_term_is_trained_afresh_on_any_network(settings: Settings) -> None:
    supervised = small_run({"method": {"name": "supervised"}})
    learner = build_learner(supervised, settings)
    state = {name: value.clone() for name, value in learner.state_dict().items()}
    contrast = small_run({**PATCHES, "training": {"network": {"learning_rate": 1e-2}}})
    (none,) = probe_run(contrast, state, settings, images=4, refit=0)
    (some,) = probe_run(contrast, state, settings, images=4, refit=12)
    assert some.values["own"][0] < none.values["own"][0]
    assert some.batches == none.batches
    assert_same(learner.state_dict(), state)
    # A control's contrast is probed as if it had an effect.
    control = contrast.model_copy(update={"method": contrast.method.model_copy(update={"gradient": False})})
    (of_control,) = probe_run(control, state, settings, images=4, refit=0)
    assert of_control == none


def test_a_run_without_a_term_or_with_another_network_is_refused(settings: Settings) -> None:
    supervised = small_run({"method": {"name": "supervised"}})
    state = build_learner(supervised, settings).state_dict()
    with pytest.raises(UsageError, match="has no cross-task term"):
        probe_run(supervised, state, settings, images=4)
    with pytest.raises(UsageError, match=r"method\..*: the checkpoint does not fit; train this term .* with --refit"):
        probe_run(small_run(PATCHES), state, settings, images=4)
    other = small_run({**PATCHES, "backbone": {"name": "segnet", "width": 2}})
    with pytest.raises(UsageError, match=r"network\..*: the checkpoint does not fit; --set can change the method"):
        probe_run(other, state, settings, images=4, refit=1)
