from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from rdc_sweeps.errors import UsageError, WeightsError
from rdc_sweeps.regions.sources import GENERATORS, region_generator, stored_source
from rdc_sweeps.specs.sources import RegionSource, SamRegions, SemanticRegions, SuperpixelRegions


def test_every_source_but_the_semantic_label_is_stored() -> None:
    union, *_ = get_args(RegionSource)
    assert set(get_args(union)) == {*GENERATORS, SemanticRegions}
    assert stored_source(SamRegions()) == SamRegions()
    assert stored_source(SemanticRegions()) is None
    superpixels = SuperpixelRegions(segments=9)
    assert stored_source(SemanticRegions(missing=superpixels)) == superpixels
    assert stored_source(SemanticRegions(missing="none")) is None


def test_a_spec_becomes_its_generator() -> None:
    generator = region_generator(SuperpixelRegions(segments=9), weights_root=None, device="cpu")
    assert '"segments":9' in generator.key
    assert generator(np.zeros((32, 32, 3), np.float32)).shape == (32, 32)


def test_semantic_regions_have_no_generator() -> None:
    with pytest.raises(UsageError, match="'semantic' are not computed from images"):
        region_generator(SemanticRegions(), weights_root=None, device="cpu")


def test_a_missing_sam_checkpoint_is_reported_before_any_image(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not found"):
        region_generator(SamRegions(), weights_root=tmp_path, device="cpu")
