from typing import Any

import pytest
from pydantic import ValidationError

from rdc_sweeps.specs.run import RunSpec


def run(method: dict[str, Any], size: tuple[int, int] = (64, 96)) -> RunSpec:
    return RunSpec.model_validate({"dataset": {"name": "rooms", "size": size}, "method": method})


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            {"name": "cross_task", "mapping": {"channels": [8] * 7}},
            "method.mapping.channels: too many levels for 64x96; use at most 6",
        ),
        ({"name": "dejavu", "redaction": {"name": "checkerboard", "block": 96}}, "method.redaction.block"),
        ({"name": "dejavu", "redaction": {"name": "spectral", "lower": 0.5, "upper": 0.5}}, "upper 0.5 must be larger"),
        ({"name": "single_task", "weight": 1.0}, "Extra inputs"),
        ({"name": "cross_task", "mapping": {"depth_divisor": 0}}, "mapping.depth_divisor"),
        ({"name": "region_contrast", "min_pixels": 1}, "min_pixels"),
    ],
)
def test_what_cannot_be_trained_is_an_error(method: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        run(method)


def test_the_defaults_are_those_of_nyuv2() -> None:
    method = run({"name": "cross_task"}).method
    assert method.name == "cross_task"
    assert method.mapping.channels == (64, 128, 256, 512, 512)
    assert (method.weight, method.regulariser) == (2.0, 0.5)


def test_a_field_of_a_theta_leaves_the_others_as_they_are_in_its_method() -> None:
    contrast = run({"name": "region_contrast", "mapping": {"channels": [8]}}).method.model_dump()["mapping"]
    joint = run({"name": "cross_task", "mapping": {"norm": "single"}}).method.model_dump()["mapping"]
    common = {"depth_divisor": None}
    assert contrast == {"channels": (8,), "norm": "apart", "padding": "reflect", **common}
    assert joint == {"channels": (64, 128, 256, 512, 512), "norm": "single", "padding": "zeros", **common}


@pytest.mark.parametrize("size", [(32, 96), (64, 96)])
def test_a_theta_may_halve_the_image_until_a_pixel_is_left(size: tuple[int, int]) -> None:
    levels = {32: 5, 64: 6}[size[0]]
    run({"name": "region_contrast", "mapping": {"channels": [8] * levels}}, size)
    with pytest.raises(ValidationError, match=f"use at most {levels}"):
        run({"name": "region_contrast", "mapping": {"channels": [8] * (levels + 1)}}, size)


@pytest.mark.parametrize("redaction", [{"name": "checkerboard", "block": 32}, {"name": "spectral", "upper": 0.4}])
def test_redactions_survive_a_round_trip(redaction: dict[str, Any]) -> None:
    spec = run({"name": "dejavu", "redaction": redaction})
    assert RunSpec.model_validate(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("contrast", "message"),
    [
        ({"name": "gaussian", "temperature": 0}, "temperature"),
        ({"name": "vector", "temperature": float("nan")}, "temperature"),
        ({"name": "pixel", "temperature": float("inf")}, "temperature"),
        ({"name": "gaussian", "distance": "cosine"}, "'wasserstein' or 'kl'"),
        ({"name": "vector", "distance": "kl"}, "'cosine' or 'squared_euclidean'"),
        ({"name": "gaussian", "negatives": "none"}, "'both', 'other' or 'images'"),
        ({"name": "pixel", "negatives": "images"}, "'both' or 'other'"),
        ({"name": "vector", "negatives": "images", "negative_count": 2}, "negative_count"),
        ({"name": "gaussian", "negative_count": 0}, "negative_count"),
        ({"name": "gaussian", "earlier_images": 4}, "need negatives: images"),
        ({"name": "pixel", "earlier_images": 4}, "earlier_images"),
        ({"name": "gaussian", "root": "qr"}, "'polar', 'svdvals' or 'eigvalsh'"),
        ({"name": "gaussian", "direction": "ab"}, "'a_to_b', 'b_to_a' or 'symmetric'"),
        ({"name": "gaussian", "covariance": {"shrinkage": -0.1}}, "shrinkage"),
        ({"name": "gaussian", "covariance": {"shrinkage": 1.5}}, "shrinkage"),
        ({"name": "gaussian", "covariance": {"shrinkage": "ledoit"}}, "shrinkage"),
        ({"name": "gaussian", "covariance": {"ridge": -1.0}}, "ridge"),
        ({"name": "gaussian", "covariance": {"ridge": float("nan")}}, "ridge"),
        ({"name": "gaussian", "covariance": {"pooled_ridge": -1.0}}, "pooled_ridge"),
        ({"name": "pixel", "pixels_per_region": 0}, "pixels_per_region"),
    ],
)
def test_values_of_a_contrast_out_of_range_are_errors(contrast: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        run({"name": "region_contrast", "contrast": contrast})
