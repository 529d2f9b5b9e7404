from typing import Any

import pytest
from pydantic import ValidationError

from rdc_sweeps.specs.sources import Sam2Regions, SamRegions, SuperpixelRegions, TransformersRegions

OF_OLD = {
    SamRegions: {
        "source", "model", "checkpoint", "points_per_side", "pred_iou_thresh", "stability_score_thresh",
        "box_nms_thresh", "crop_n_layers", "crop_n_points_downscale_factor", "min_mask_region_area",
    },
    SuperpixelRegions: {"source", "segments", "compactness", "sigma"},
}  # fmt: skip
"""Fields of sources of which maps and trainings are stored."""


@pytest.mark.parametrize("kind", list(OF_OLD))
def test_later_fields_are_no_part_of_ids_unless_they_are_set(kind: type[SamRegions] | type[SuperpixelRegions]) -> None:
    assert set(kind().model_dump()) == OF_OLD[kind]
    later = set(kind.model_fields) - OF_OLD[kind]
    assert later
    for name in later & {"points_per_batch", "reduction"}:
        assert name in kind(**{name: 3}).model_dump()


GRID = ((0.5, 0.5),)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"point_grids": [GRID], "crop_n_layers": 1}, "needs 2"),
        ({"point_grids": [()]}, "at least 1"),
        ({"point_grids": [((0.5, 1.5),)]}, "less than or equal to 1"),
        ({"points_per_batch": 0}, "greater than or equal to 1"),
        ({"points_per_side": 2, "crop_n_layers": 2, "crop_n_points_downscale_factor": 2}, "without points"),
    ],
)
@pytest.mark.parametrize("kind", [SamRegions, Sam2Regions])
def test_settings_that_do_not_fit(
    kind: type[SamRegions] | type[Sam2Regions], settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        kind(**settings)


def test_grids_of_points() -> None:
    assert SamRegions.model_validate({"point_grids": [GRID, GRID], "crop_n_layers": 1}).point_grids == (GRID, GRID)


@pytest.mark.parametrize("kind", [SamRegions, Sam2Regions, TransformersRegions])
def test_checkpoints_stay_in_the_weights_folder(kind: type[SamRegions]) -> None:
    with pytest.raises(ValidationError, match="relative"):
        kind(checkpoint="../sam.pth")
