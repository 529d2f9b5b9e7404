"""Compares the data that runs were trained on with those of now. Imports nothing heavy until there is such a run."""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rdc_sweeps.data.provenance import DataRecord, difference
from rdc_sweeps.errors import DamagedError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings, dataset_root
from rdc_sweeps.specs.catalogue import Run
from rdc_sweeps.specs.dataset import DatasetSpec
from rdc_sweeps.specs.run import RunSpec

if TYPE_CHECKING:
    from rdc_sweeps.training.splits import Splits


class DataComparison:
    """The data of now, each data set read once; several threads may ask.

    Region maps are left out, since all images would have to be read to find them: a worker compares them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mutex = threading.Lock()
        self._splits: dict[DatasetSpec, Splits | None] = {}
        self._records: dict[object, DataRecord | None] = {}

    def difference(self, directory: RunDirectory, spec: RunSpec) -> str | None:
        """What is different from the data that a run was trained on; None if nothing is, or one of them is unknown."""
        try:
            then = directory.data()
        except DamagedError:
            # It is moved aside before the run is resumed.
            then = None
        if then is None:
            return None
        with self._mutex:
            now = self._now(spec)
        return None if now is None else difference(then, now)

    def _now(self, spec: RunSpec) -> DataRecord | None:
        key = (spec.dataset, spec.labels, spec.backbone.pretrained)
        if key not in self._records:
            self._records[key] = self._described(spec)
        return self._records[key]

    def _described(self, spec: RunSpec) -> DataRecord | None:
        from rdc_sweeps.training.provenance import describe_data

        splits = self._opened(spec.dataset)
        if splits is None:
            return None
        try:
            return describe_data(spec, self._settings, splits)
        except Exception:  # Another package's data set may fail in any way.
            # What is missing or damaged is reported before it is trained on.
            return None

    def _opened(self, spec: DatasetSpec) -> "Splits | None":
        if spec not in self._splits:
            self._splits[spec] = _open(spec, self._settings)
        return self._splits[spec]


def other_counts(runs: Iterable[Run], settings: Settings) -> list[tuple[str, bool]]:
    """The published data sets of runs that are here with other numbers of images.

    Returns:
        How many images each has, and whether a run is refused for that; see `dispatch.inputs.check_inputs`.
    """
    found: dict[str, bool] = {}
    known: dict[DatasetSpec, str | None] = {}
    for run in runs:
        spec = run.spec.dataset
        if spec not in known:
            known[spec] = _other_count(spec, settings)
        if (text := known[spec]) is not None:
            found[text] = found.get(text, False) or run.profile.comparable
    return list(found.items())


def _other_count(spec: DatasetSpec, settings: Settings) -> str | None:
    root = dataset_root(spec.name, settings)
    if getattr(spec, "published", None) is None or root is None or not root.is_dir():
        return None
    from rdc_sweeps.training.splits import other_count

    splits = _open(spec, settings)
    return None if splits is None else other_count(spec, splits)


def _open(spec: DatasetSpec, settings: Settings) -> "Splits | None":
    from rdc_sweeps.training.splits import open_splits

    try:
        return open_splits(spec, root=dataset_root(spec.name, settings), cache=settings.cache_root)
    except Exception:  # Another package's data set may fail in any way.
        # Before anything is trained, this is reported as an error.
        return None
