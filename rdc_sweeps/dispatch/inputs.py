"""Inputs of runs: data, label settings, weights, checkpoints and region maps, checked and built before a run starts."""

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path

from rdc_sweeps.data.samples import check_samples
from rdc_sweeps.data.scene import Floats
from rdc_sweeps.data.stamps import image_stamps
from rdc_sweeps.dispatch.ranks import check_batch
from rdc_sweeps.dispatch.region_maps import ReportBuild, build_maps, maps_of, open_maps
from rdc_sweeps.dispatch.slurm.submissions import SubmissionDirectory
from rdc_sweeps.errors import DataError, InfrastructureError, RdcError, infrastructure_cause
from rdc_sweeps.models.registry import check_pretrained
from rdc_sweeps.processes.devices import processes_per_run
from rdc_sweeps.regions.build import BuildReport
from rdc_sweeps.regions.sources import region_generator
from rdc_sweeps.regions.store import RegionStore, image_key
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Run
from rdc_sweeps.specs.dataset import LabelSpec
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.setup import open_data, stored_regions
from rdc_sweeps.training.splits import other_count

Check = Callable[[], object]
"""Raises an `RdcError` if an input is missing or damaged."""

Checks = Mapping[Hashable, Check]
"""Checks by what they are of: runs that share an input share its check."""

log = logging.getLogger(__name__)


class PreparationError(RdcError):
    """Some runs cannot start: all reasons, each with the rows concerned."""


def check_inputs(runs: Iterable[Run], settings: Settings) -> None:
    """Open all inputs of the runs.

    Raises:
        PreparationError: What is missing or damaged, each reason once.
    """

    def checks(run: Run) -> Checks:
        spec, comparable = run.spec, run.profile.comparable
        return {
            **_region_checks(run, settings),
            ("images", spec.dataset, spec.labels): lambda: _check_images(spec, settings),
            ("counts", spec.dataset, comparable): lambda: _check_counts(spec, settings, refuse=comparable),
            ("weights", spec.backbone): lambda: check_pretrained(spec.backbone, settings.weights_root),
            ("batch", spec.training, spec.dataset): lambda: check_batch(spec, processes_per_run(settings.gpus_per_run)),
        }

    _check(runs, checks)


def check_regions(runs: Iterable[Run], settings: Settings) -> None:
    """Open the inputs from which the runs' region maps are computed.

    Raises:
        PreparationError: What is missing or damaged, each reason once.
    """
    _check(runs, lambda run: _region_checks(run, settings))


def _region_checks(run: Run, settings: Settings) -> Checks:
    spec, source = run.spec, stored_regions(run.spec)
    checks: dict[Hashable, Check] = {("data", spec.dataset, spec.labels): lambda: open_data(spec, settings)}
    if source is not None:
        checks["regions", source] = lambda: region_generator(source, weights_root=settings.weights_root, device="cpu")
    return checks


def _check_images(spec: RunSpec, settings: Settings) -> None:
    """Look at some images and labels of data sets that are not rendered; what is missing is another check's."""
    if spec.dataset.synthetic:
        return
    try:
        data = open_data(spec, settings)
    except RdcError:
        return
    name = spec.dataset.name
    check_samples(data.splits.train, data.train_mask, f"{name}: training images")
    check_samples(data.splits.test, None, f"{name}: test images")


def _check_counts(spec: RunSpec, settings: Settings, *, refuse: bool) -> None:
    """Raise or log if a published data set is not complete."""
    try:
        splits = open_data(spec.model_copy(update={"labels": LabelSpec()}), settings).splits
    except RdcError:
        return
    found = other_count(spec.dataset, splits)
    if found is None:
        return
    if refuse:
        raise DataError(f"{found}; complete it, or use a profile whose numbers need not compare with the published")
    log.warning("%s", found)


def _check(runs: Iterable[Run], checks: Callable[[Run], Checks]) -> None:
    runs = list(runs)
    problems: dict[str, list[str]] = {}
    known: dict[Hashable, str | None] = {}
    for run in runs:
        for of, one in checks(run).items():
            if of not in known:
                known[of] = _problem(one)
            if (problem := known[of]) is not None:
                problems.setdefault(problem, []).append(run.title)
    if problems:
        raise PreparationError("\n".join(_message(problem, titles, len(runs)) for problem, titles in problems.items()))


def _problem(check: Check) -> str | None:
    try:
        check()
    except RdcError as error:
        if isinstance(error, DataError) and (cause := infrastructure_cause(error)) is not None:
            # The data may be in order.
            raise InfrastructureError(f"{cause}; repeat the command once that is solved") from error
        return str(error)
    return None


def _message(problem: str, titles: list[str], runs: int) -> str:
    needed_by = f"all {runs} runs" if len(titles) == runs > 2 else ", ".join(titles)
    return f"{problem}\n  needed by {needed_by}"


def build_missing_regions(specs: Iterable[RunSpec], settings: Settings, report: ReportBuild) -> dict[str, BuildReport]:
    """Compute the region maps of all training images that the store lacks; returns reports by title."""
    return build_maps(maps_of(specs), settings, report)


def build_for_submission(runs: Path, settings: Settings, report: ReportBuild) -> dict[str, BuildReport]:
    """Build the region maps that submitted runs lack, and leave a file that marks success.

    Args:
        runs: `runs.txt` of the submission, with a run id per line.
        settings: Settings of the job.
        report: Receives the progress.
    """
    submission = SubmissionDirectory(settings.root, runs.parent.name)
    specs = [RunDirectory(settings.root, run_id).read_spec() for run_id in submission.run_ids()]
    reports = build_missing_regions(specs, settings, report)
    submission.prepared.touch()
    return reports


def regions_are_missing(specs: Iterable[RunSpec], settings: Settings, report: ReportBuild) -> bool:
    """Whether a training image has no sound region map in the store.

    If it is not known from the last time, images are read until one is found.
    """
    for maps in maps_of(specs):
        images, _, store = open_maps(maps, settings, "cpu")
        if store.known(image_stamps(images, range(len(images)))) is not None:
            continue
        for row in range(len(images)):
            if not _is_stored(store, images.image(row)):
                return True
            report(f"looking for {maps.title}", row + 1, len(images))
    return False


def _is_stored(store: RegionStore, image: Floats) -> bool:
    try:
        return store.get(*image_key(image)) is not None
    except DataError:
        return False
