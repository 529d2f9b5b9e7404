"""Targets on the command line: a run, by the first digits of its id, or a table with all of its runs."""

from collections.abc import Sequence
from dataclasses import replace

from rdc_sweeps.errors import UsageError
from rdc_sweeps.monitoring.groups import RunsFolder
from rdc_sweeps.monitoring.views import Subject, seed_of, subject_of, subject_of_directory
from rdc_sweeps.runs.directory import RunDirectory, find_run
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs.catalogue import Catalogue


def named_subjects(
    target: str,
    settings: Settings,
    *,
    seeds: Sequence[int] | None = None,
    changes: Sequence[str] = (),
    compat: str | None = None,
) -> list[Subject]:
    """The runs of a table that have directories, or one run.

    Args:
        target: Name of a table, or the first digits of a run's id.
        settings: Runs folder, experiments and profile.
        seeds: Only these seeds of the table; None: all seeds, unless another argument narrows the choice.
        changes: Only runs with these changed fields.
        compat: Only runs trained as this code does.

    Raises:
        UsageError: Neither a table nor a run.
    """
    root = settings.root
    try:
        catalogue = Catalogue(experiments_folder(settings))
    except UsageError:
        catalogue = None
    if catalogue is None or target not in catalogue.tables:
        return [_subject(find_run(root, target))]
    runs = catalogue.runs(target, settings.profile, seeds=seeds, settings=changes, compat=compat)
    chosen = {run.id: subject_of(run) for run in runs}
    if not (seeds or changes or compat):
        # Also of other seeds and changed fields.
        for found in RunsFolder(root).subjects():
            if (found.table, found.profile, found.study) == (target, settings.profile, None):
                chosen.setdefault(found.run, _subject(RunDirectory(root, found.run)))
    return [subject for run, subject in chosen.items() if RunDirectory(root, run).folder.is_dir()]


def _subject(directory: RunDirectory) -> Subject:
    return replace(subject_of_directory(directory.root, directory.id), seed=seed_of(directory))
