"""The smallest runs that still have everything: rooms at 64x96, four steps an epoch."""

from typing import Any

from rdc_sweeps.specs.document import Document, overlay
from rdc_sweeps.specs.run import RunSpec

SMALL: dict[str, Any] = {
    "dataset": {"name": "rooms", "size": [64, 96], "train_images": 8, "validation_images": 4, "test_images": 4},
    "labels": {"setting": "onelabel"},
    "backbone": {"name": "efficientnet_lite0", "pretrained": {"source": "none"}},
    "method": {
        "name": "region_contrast",
        "extraction": {"name": "region", "regions": {"source": "superpixel", "segments": 12}},
        "mapping": {"channels": [8, 8]},
        "weight": 0.5,
    },
    "training": {"epochs": 2, "batch_size": 4},
}


def small_run(changes: dict[str, Any] | None = None) -> RunSpec:
    """A small run with changes overlaid."""
    return RunSpec.model_validate(overlay(Document(SMALL), Document(changes or {})).data)
