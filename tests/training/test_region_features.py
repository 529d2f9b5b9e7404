"""The regions of a training image as the contrast sees them."""

import numpy as np
import pytest
import torch

from rdc_sweeps.dispatch.inputs import build_missing_regions
from rdc_sweeps.errors import DataError, UsageError
from rdc_sweeps.settings import Settings
from rdc_sweeps.training.region_features import has_regions, region_features
from rdc_sweeps.training.setup import build_learner, open_data

from .small import small_run


def test_the_gaussians_are_those_of_the_regions_pixels(settings: Settings) -> None:
    # Features at the size of the regions, so that a region's pixels are cells.
    spec = small_run({"method": {"region_stride": 4, "mapping": {"channels": [8, 8]}}})
    build_missing_regions([spec], settings, lambda *_: None)
    learner = build_learner(spec, settings)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    found = region_features(learner, spec, settings, 1)
    assert found.image.shape == (64, 96, 3)
    assert found.slots.shape == (16, 24)
    granted = open_data(spec, settings).train_mask[1]
    tasks = spec.dataset.tasks
    assert granted[tasks.index(found.labelled_task)]
    assert not granted[tasks.index(found.predicted_task)]
    assert found.largest == sorted(found.largest, key=lambda slot: -found.counts[slot])
    assert all(found.counts[slot] >= spec.method.min_pixels for slot in found.largest)  # type: ignore[union-attr]
    for gaussians in (found.predicted, found.labelled):
        assert gaussians.features.shape == (16 * 24, 8)
        for slot in found.largest:
            pixels = gaussians.features[found.slots.flatten() == slot]
            assert np.allclose(gaussians.mean[slot], pixels.mean(axis=0))
            assert np.allclose(gaussians.covariance[slot], np.cov(pixels.T))
    # Batch norms and modes are left as they were.
    assert all(torch.equal(before[name], value) for name, value in learner.state_dict().items())
    again = region_features(learner, spec, settings, 1)
    assert np.array_equal(again.predicted.mean, found.predicted.mean)


def test_what_has_no_regions_is_told(settings: Settings) -> None:
    patches = small_run({"method": {"extraction": {"name": "patch", "size": 4}}})
    assert has_regions(patches)
    with pytest.raises(UsageError, match="no training image 8: there are 8, counted from 0"):
        region_features(build_learner(patches, settings), patches, settings, 8)
    alone = small_run({"method": {"name": "supervised"}})
    assert not has_regions(alone)
    with pytest.raises(UsageError, match="supervised contrasts no regions"):
        region_features(build_learner(alone, settings), alone, settings, 0)
    unbuilt = small_run({"method": {"extraction": {"regions": {"segments": 7}}}})
    with pytest.raises(DataError, match="compute them with `rdc-sweep regions build`"):
        region_features(build_learner(unbuilt, settings), unbuilt, settings, 0)
