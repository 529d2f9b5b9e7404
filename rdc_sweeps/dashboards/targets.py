"""The dashboards that a command names: of a table, of a study, or of everything in a runs folder."""

from collections.abc import Sequence

from rdc_sweeps.dashboards.contents import Dashboard, study_dashboard, table_dashboard
from rdc_sweeps.errors import UsageError
from rdc_sweeps.monitoring.groups import RunsFolder
from rdc_sweeps.reporting.report import build_report
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs.catalogue import Catalogue, unknown
from rdc_sweeps.tuning.folder import study_names
from rdc_sweeps.tuning.study_request import require_extra


def named_dashboards(
    target: str | None,
    settings: Settings,
    *,
    seeds: Sequence[int] | None = None,
    changes: Sequence[str] = (),
    compat: str | None = None,
) -> list[Dashboard]:
    """The dashboards of a table or study, or one of each table and study of the runs folder.

    Args:
        target: Name of a table, or of a study or its folder; None for all that have runs.
        settings: Runs folder, experiments and profile.
        seeds: Seeds of a table; None: the profile's.
        changes: Fields of a table that differ, as assignments.
        compat: Name of the code that a table follows.

    Raises:
        UsageError: There is nothing of this name, or nothing at all.
        SpecError: All problems of a table or study.
    """
    catalogue = Catalogue(experiments_folder(settings))
    known = study_names(settings.root)

    def of_table(name: str) -> Dashboard:
        runs = catalogue.runs(name, settings.profile, seeds=seeds, settings=changes, compat=compat)
        return table_dashboard(runs, settings.root, build_report(runs, settings.root))

    def of_study(name: str) -> Dashboard:
        require_extra()
        from rdc_sweeps.tuning.study import load_study
        from rdc_sweeps.tuning.study_report import build_study_report

        return study_dashboard(build_study_report(load_study(settings.root, name), catalogue), settings.root)

    if target is None:
        subjects = RunsFolder(settings.root).subjects()
        trained = {one.table for one in subjects if one.profile == settings.profile and one.study is None}
        found = [of_table(name) for name in catalogue.tables if name in trained]
        found += [of_study(name) for name in known]
        if not found:
            raise UsageError(f"no runs under profile {settings.profile} and no studies in {settings.root}")
        return found
    if target in catalogue.tables:
        return [of_table(target)]
    if seeds or changes or compat:
        raise UsageError(unknown("table", target, catalogue.tables))
    for name in (target, f"{target}-{settings.profile}"):
        if name in known:
            return [of_study(name)]
    raise UsageError(unknown("table or study", target, [*catalogue.tables, *known]))
