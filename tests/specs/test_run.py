import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.fields import DISCRIMINATORS
from rdc_sweeps.specs.run import BESIDE, RunSpec, run_id

FIXED: dict[str, Any] = {
    "dataset": {"name": "rooms", "size": [64, 96], "seed": 3, "train_images": 10, "test_images": 5},
    "labels": {"setting": "onelabel"},
    "backbone": {"name": "efficientnet_lite0", "pretrained": {"source": "none"}},
    "method": {"name": "supervised"},
    "training": {"epochs": 2, "batch_size": 4},
    "seed": 1,
}


def leaves(tree: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(tree, dict):
        return [leaf for key, value in tree.items() for leaf in leaves(value, (*path, key))]
    return [(path, tree)]


def shuffled(tree: Any, order: random.Random) -> Any:
    if not isinstance(tree, dict):
        return tree
    keys = list(tree)
    order.shuffle(keys)
    return {key: shuffled(tree[key], order) for key in keys}


def with_value(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    key, *rest = path
    return {**tree, key: with_value(tree[key], tuple(rest), value) if rest else value}


def test_identity_is_stable() -> None:
    # Another value here means that every finished run of every user counts as not done: raise SCHEMA_VERSION knowingly.
    assert run_id(RunSpec.model_validate(FIXED)) == "bf154f5acad6bce2"


@given(st.randoms(use_true_random=False))
def test_identity_does_not_depend_on_the_order_of_keys(order: random.Random) -> None:
    spec = RunSpec.model_validate(FIXED)
    assert run_id(RunSpec.model_validate(shuffled(spec.model_dump(mode="json"), order))) == run_id(spec)


def test_identity_does_not_depend_on_whether_defaults_are_written() -> None:
    written = RunSpec().model_dump(mode="json")
    assert run_id(RunSpec.model_validate(written)) == run_id(RunSpec())


def test_every_field_changes_the_identity() -> None:
    spec = RunSpec()
    dump = spec.model_dump(mode="json")
    replacements: dict[str, Any] = {
        "setting": "onelabel", "origin": "published", "size": [288, 352],
        "negatives": "other", "precision": "bfloat16", "checkpoint": "x.pth",
        "model": "vit_b", "views": 1, "scales": [1.0], "channels": [16], "train_images": 5, "test_images": 5,
        "shrinkage": "oas", "distance": "kl", "root": "svdvals", "direction": "a_to_b", "ramp_by": "epoch",
        "negative_count": 2, "view_norm": "together", "fuse": "nearest", "input": "imagenet", "tag": "gluon_in1k",
        "norm": "pooled", "padding": "zeros", "depth_divisor": 10.0, "last_batch": "kept", "iterations": 7,
        "pairs": "sum", "region_pixel": "corner", "crop": "released", "void": "kept",
        "clip_norm": 10.0, "flip_again": True,
    }  # fmt: skip
    needed: dict[str, tuple[str, Any]] = {"iterations": ("epochs", None), "flip_again": ("flip", True)}
    ids = {run_id(spec)}
    count = 1
    for path, value in leaves(dump):
        if path[-1] in DISCRIMINATORS or path[-1] in BESIDE.get(path[0], ()):
            continue  # a variant, whose other fields would not fit; or what does not change the training
        changed: Any
        if path[-1] in replacements:
            changed = replacements[path[-1]]
        elif isinstance(value, bool):
            changed = not value
        elif isinstance(value, int):
            changed = value * 2 or 1
        else:
            changed = value / 2 or 0.5
        other = with_value(dump, path, changed)
        if path[-1] in needed:
            field, with_it = needed[path[-1]]
            other = with_value(other, (*path[:-1], field), with_it)
        ids.add(run_id(RunSpec.model_validate(other)))
        count += 1
    assert len(ids) == count > 30


@pytest.mark.parametrize(
    ("field", "value"),
    [("keep_checkpoints", [0, 3]), ("keep_predictions", {"images": [3]}), ("probe", {"every": 2})],
)
def test_what_is_measured_beside_a_training_does_not_change_the_identity(field: str, value: Any) -> None:
    other = RunSpec.model_validate(with_value(RunSpec().model_dump(mode="json"), ("training", field), value))
    assert other != RunSpec()
    assert run_id(other) == run_id(RunSpec())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("method",), {"name": "supervised"}),
        (("backbone",), {"name": "efficientnet_lite0"}),
        (("backbone", "pretrained"), {"source": "none"}),
        (("method", "contrast"), {"name": "pixel"}),
        (("training", "network", "schedule"), {"name": "constant"}),
    ],
)
def test_another_variant_changes_the_identity(path: tuple[str, ...], value: dict[str, Any]) -> None:
    dump = RunSpec().model_dump(mode="json")
    assert run_id(RunSpec.model_validate(with_value(dump, path, value))) != run_id(RunSpec())


def test_identity_does_not_depend_on_the_table(experiments: Any) -> None:
    text = (experiments / "table3.yaml").read_text()
    renamed = (
        text.replace("table: table3", "table: other")
        .replace("title: Local", "title: Another")
        .replace("id: one-patch-vector", "id: something")
        .replace("baseline: one-patch-vector", "baseline: something")
    )
    (experiments / "other.yaml").write_text(renamed)
    catalogue = Catalogue(experiments)
    assert [run.id for run in catalogue.runs("other", "cpu")] == [run.id for run in catalogue.runs("table3", "cpu")]


def test_a_whole_number_is_the_same_as_an_integer() -> None:
    whole = RunSpec.model_validate({"method": {"name": "region_contrast", "weight": 1}})
    assert run_id(whole) == run_id(RunSpec.model_validate({"method": {"name": "region_contrast", "weight": 1.0}}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": {"name": "region_contrast", "region_stride": 5}}, "does not divide 288x384"),
        ({"method": {"name": "region_contrast", "mapping": {"channels": [4] * 9}}}, "too many levels"),
        ({"dataset": {"name": "rooms", "size": [100, 128]}}, "multiples of 32"),
        ({"dataset": {"name": "rooms", "size": [0, 128]}}, "multiples of 32"),
        (
            {
                "labels": {"setting": "onelabel"},
                "method": {
                    "name": "region_contrast",
                    "extraction": {"name": "region", "regions": {"source": "semantic"}},
                },
            },
            "semantic regions need",
        ),
    ],
)
def test_fields_must_fit_together(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RunSpec.model_validate(fields)


def test_semantic_regions_of_partial_labels_say_what_images_without_the_label_have() -> None:
    def run(regions: dict[str, Any]) -> RunSpec:
        extraction = {"name": "region", "regions": {"source": "semantic", **regions}}
        method = {"name": "region_contrast", "extraction": extraction}
        return RunSpec.model_validate({"labels": {"setting": "onelabel"}, "method": method})

    none, superpixels = run({"missing": "none"}), run({"missing": {"source": "superpixel", "segments": 9}})
    assert run_id(none) != run_id(superpixels)
    stored = superpixels.model_dump(mode="json")["method"]["extraction"]["regions"]
    assert stored["missing"]["segments"] == 9
    assert "parts" not in stored, "left out while it is the default"


def test_specs_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RunSpec().seed = 3  # type: ignore[misc]


def test_predictions_are_kept_of_images_that_exist() -> None:
    fields: dict[str, Any] = {"dataset": {"name": "rooms", "test_images": 4}}
    for images in ([3], [0, 3], 100):
        RunSpec.model_validate({**fields, "training": {"keep_predictions": {"images": images}}})
    with pytest.raises(ValidationError, match="there is no test image 4; they are 0 to 3"):
        RunSpec.model_validate({**fields, "training": {"keep_predictions": {"images": [1, 4]}}})
