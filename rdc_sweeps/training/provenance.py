"""Describes the data that a run is trained on. Imports no PyTorch, because planning compares them."""

from collections.abc import Callable

from rdc_sweeps.data.fingerprint import WEIGHT_BLOCKS, files_digest, split_record
from rdc_sweeps.data.label_settings import setting_digest
from rdc_sweeps.data.provenance import DataRecord, SplitRecord
from rdc_sweeps.data.scene import Dataset
from rdc_sweeps.errors import DataError
from rdc_sweeps.settings import Settings, dataset_root
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.splits import Splits


def describe_data(
    spec: RunSpec,
    settings: Settings,
    splits: Splits,
    *,
    regions: str | None = None,
    record: Callable[[Dataset], SplitRecord] = split_record,
) -> DataRecord:
    """The record of a run's data, as they are now.

    Args:
        spec: The run.
        settings: The folders.
        splits: Its opened images.
        regions: Digest of the region maps; None: unknown, or there are none.
        record: Computes the fingerprint of a split.

    Raises:
        DataError: A file is missing or damaged.
    """
    root = dataset_root(spec.dataset.name, settings)
    train, test = map(record, splits.whole)
    return DataRecord(
        root=None if root is None else str(root.absolute()),
        train=train,
        test=test,
        training_images=len(splits.train),
        validation_images=len(splits.validation),
        test_images=len(splits.test),
        labels=setting_digest(spec.labels, spec.dataset, splits.training_images, root=settings.label_settings_root),
        weights=_weights_digest(spec, settings),
        regions=regions,
    )


def _weights_digest(spec: RunSpec, settings: Settings) -> str | None:
    """Of the file of pretrained weights. Weights of a hub are identified by their tag, which is in the spec."""
    pretrained = spec.backbone.pretrained
    if pretrained.source != "file" or settings.weights_root is None:
        return None
    try:
        return files_digest({"weights": settings.weights_root / pretrained.file}, WEIGHT_BLOCKS)
    except DataError:
        # Missing: building the network says so, with the remedy for weights.
        return None
