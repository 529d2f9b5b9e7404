"""Scores and predictions of runs: what they keep, or what their checkpoints predict, cached in a folder."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rdc_sweeps.errors import DamagedError, UsageError
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.reporting.images import kept_predictions, kept_scores
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.training import PredictionsSpec
from rdc_sweeps.training.predictions import ImagePredictions
from rdc_sweeps.training.scores import ImageScores

log = logging.getLogger(__name__)

Kept = TypeVar("Kept", ImageScores, ImagePredictions)


class ImageSource:
    """Where figures and comparisons have the scores and predictions of runs from; run directories do not change.

    Args:
        settings: Data roots, caches and device, for what is computed from checkpoints.
        cache: A folder for what is computed; None: nothing is cached.
        tell: Told what is computed.
    """

    def __init__(
        self, settings: Settings, cache: Path | None = None, tell: Callable[[str], object] = lambda _: None
    ) -> None:
        self._settings, self._cache, self._tell = settings, cache, tell
        self._states: dict[Path, tuple[RunSpec, dict[str, Any], int]] = {}

    def scores(self, directory: RunDirectory, selection: Selection = "last") -> ImageScores:
        """The scores of all test images of a run after the epoch that a rule selects.

        Raises:
            UsageError: The run keeps none, and no checkpoint has the weights of that epoch.
            DataError: They must be computed, and the data set is missing or damaged.
        """
        kept = _sound(lambda: kept_scores(directory, selection))
        if kept is not None:
            return kept
        path = self._checkpoint(directory, selection)
        cached = self._cached(path, directory, "scores", {})
        found = None if cached is None else _sound(lambda: ImageScores.load(cached, directory.id))
        if found is None:
            from rdc_sweeps.training.inference import scores_of_checkpoint

            spec, learner, epoch = self._state(path, directory)
            self._tell(f"run {directory.id}: computing the scores of its test images from {path.name}")
            found = scores_of_checkpoint(spec, learner, epoch, self._settings)
            if cached is not None:
                found.save(cached, directory.id)
        return found

    def kept_images(self, directory: RunDirectory) -> Sequence[int]:
        """Positions of the test images whose predictions a run keeps."""
        kept = _sound(lambda: kept_predictions(directory))
        return () if kept is None else kept.images.tolist()

    def predictions(self, directory: RunDirectory, images: Sequence[int], side: int = 256) -> ImagePredictions:
        """The predictions of a run for some test images, and perhaps others, after its last epoch.

        Args:
            directory: The run.
            images: Positions in the test split.
            side: Largest height and width of what is computed; what a run keeps may be smaller.

        Raises:
            UsageError: The run keeps no predictions for these images, and has no checkpoint, or there is no such image.
            DataError: They must be computed, and the data set is missing or damaged.
        """
        kept = _sound(lambda: kept_predictions(directory))
        if kept is not None and set(images) <= set(kept.images.tolist()):
            return kept
        path = self._checkpoint(directory, "last")
        keep = PredictionsSpec(images=tuple(images), side=side)
        cached = self._cached(path, directory, "predictions", keep.model_dump(mode="json"))
        found = None if cached is None else _sound(lambda: ImagePredictions.load(cached, directory.id))
        if found is None:
            from rdc_sweeps.training.inference import predictions_of_checkpoint

            spec, learner, epoch = self._state(path, directory)
            self._tell(f"run {directory.id}: computing predictions for {len(images)} test images from {path.name}")
            found = predictions_of_checkpoint(spec, learner, epoch, self._settings, keep)
            if cached is not None:
                found.save(cached, directory.id)
        return found

    def checkpoint(self, directory: RunDirectory) -> tuple[RunSpec, Mapping[str, Any], int]:
        """The spec of a run, the weights of its last checkpoint, and the last epoch that they have seen.

        Raises:
            UsageError: There is no checkpoint.
            CheckpointError: It is damaged.
        """
        return self._state(self._checkpoint(directory, "last"), directory)

    def _checkpoint(self, directory: RunDirectory, selection: Selection) -> Path:
        """The checkpoint with the weights of the epoch that a rule selects."""
        from rdc_sweeps.training.checkpoints import kept_checkpoint

        path, result = directory.checkpoint, directory.result()
        if selection != "last":
            selected = None if result is None else result.selected.get(selection)
            if selected is None:
                raise UsageError(f"run {directory.id}: {selection} selects no epoch; use --selection last")
            if result is not None and selected.epoch + 1 < result.epochs:
                path = kept_checkpoint(directory.checkpoint, selected.epoch)
        if not path.exists():
            raise UsageError(
                f"run {directory.id}: an earlier version trained it, or it is not done, so it keeps no scores and "
                f"predictions; and there is no {path.name} to compute them from"
                + ("" if selection == "last" else f" for {selection}; use --selection last")
            )
        return path

    def _state(self, path: Path, directory: RunDirectory) -> tuple[RunSpec, Mapping[str, Any], int]:
        from rdc_sweeps.training.checkpoints import load_checkpoint, seen_epoch

        if path not in self._states:
            state = load_checkpoint(path, directory.id)
            if state is None:
                raise UsageError(f"run {directory.id}: {path.name} has been removed meanwhile; repeat the command")
            # One at a time: optimisers and networks are large.
            self._states = {path: (directory.read_spec(), state["learner"], seen_epoch(state))}
        return self._states[path]

    def _cached(self, path: Path, directory: RunDirectory, kind: str, of: Mapping[str, Any]) -> Path | None:
        """The cache's file for what is computed from a checkpoint, named after all that it depends on."""
        if self._cache is None:
            return None
        stamp = path.stat()
        content = json.dumps([path.name, stamp.st_mtime_ns, stamp.st_size, of], sort_keys=True)
        digest = hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
        return self._cache / f"{directory.id}-{kind}-{digest}.npz"


def _sound(load: Callable[[], Kept | None]) -> Kept | None:
    """What is loaded; None if it is damaged, since it can be computed."""
    try:
        return load()
    except DamagedError as error:
        log.warning("%s", error)
        return None
