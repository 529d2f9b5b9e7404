"""Tables: resolved, planned, trained and reported."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdc_sweeps.dispatch.comparison import DataComparison
from rdc_sweeps.dispatch.executors import Listener, executor_for
from rdc_sweeps.dispatch.plan import Planned
from rdc_sweeps.dispatch.plan import plan as plan_runs
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.settings import Settings, experiments_folder, load_settings
from rdc_sweeps.specs.catalogue import Catalogue, Run
from rdc_sweeps.specs.document import assignments

if TYPE_CHECKING:
    from rdc_sweeps.reporting.evidence import ClaimsReport
    from rdc_sweeps.reporting.report import Report
    from rdc_sweeps.web.site import SiteReader


@dataclass(frozen=True)
class Table:
    """A table's rows and seeds, resolved under a profile.

    Attributes:
        name: Name of the table.
        runs: One per row and seed; equal trainings have equal ids.
        settings: Folders of data and runs, and how the runs are executed.
    """

    name: str
    runs: Sequence[Run]
    settings: Settings


def load_table(
    name: str,
    *,
    rows: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    changes: Mapping[str, Any] | Sequence[str] = (),
    compat: str | None = None,
    **settings: Any,
) -> Table:
    """Resolve a table; nothing is created and no data are read.

    Args:
        name: Name of the table, such as `table3`.
        rows: Ids of rows; empty for all.
        seeds: Seeds; None: the profile's.
        changes: Fields that differ in every row, as `{"training.epochs": 2}` or `["training.epochs=2"]`.
        compat: Name of a compat overlay, such as `released`, which follows the authors' release where it differs.
        **settings: Any setting of `rdc-sweep config`, such as `profile`, `root`, `device` or `executor`; those that are
            not given come from the environment, the settings files and the defaults.

    Raises:
        UsageError: A table, row, profile or setting does not exist.
        SpecError: All problems of the rows.
    """
    chosen = load_settings(**settings)
    runs = Catalogue(experiments_folder(chosen)).runs(
        name, chosen.profile, rows=rows, seeds=seeds, settings=assignments(changes), compat=compat
    )
    return Table(name, runs, chosen)


def plan(table: Table, *, retry_failed: bool = False, rerun: bool = False, queue: bool = True) -> list[Planned]:
    """What `run_table` would do with each run, and why; nothing is created.

    Args:
        table: From `load_table`.
        retry_failed: Try failed runs again, from their checkpoints.
        rerun: Train again from the start all runs that no worker is training.
        queue: Also query the executor's scheduler, if it has one, for runs that have a job.

    Raises:
        UnavailableError: The scheduler does not answer.
    """
    data = DataComparison(table.settings)
    planned = plan_runs(table.runs, table.settings.root, retry_failed=retry_failed, rerun=rerun, data=data)
    return executor_for(table.settings).inspect(planned) if queue else planned


def run_table(
    table: Table, *, retry_failed: bool = False, rerun: bool = False, listener: Listener | None = None
) -> list[str]:
    """Train the runs that are not done, on this machine or by Slurm jobs as the setting `executor` says.

    Interrupted (KeyboardInterrupt), the runs save checkpoints, from which the next call resumes.

    Args:
        table: From `load_table`.
        retry_failed: See `plan`.
        rerun: See `plan`; old directories are set aside.
        listener: Receives the events.

    Returns:
        Ids of the runs that failed or, on this machine, are not done; empty if everything succeeded.

    Raises:
        RdcError: Data, weights or checkpoints are missing or damaged.
        UnavailableError: Slurm does not answer or refuses.
    """
    from rdc_sweeps.monitoring.groups import table_title
    from rdc_sweeps.notifications.watching import SweepWatch

    data = DataComparison(table.settings)
    look = partial(plan_runs, table.runs, table.settings.root, retry_failed=retry_failed, rerun=rerun, data=data)
    executor = executor_for(table.settings, listener)
    about = table_title(table.runs)
    words = [word for change in table.runs[0].changes for word in change.split(" ", 1)]
    command = shlex.join(["rdc-sweep", "report", table.name, "--profile", table.runs[0].profile.profile, *words])
    with SweepWatch(table.settings, about, command, runs=[run.id for run in table.runs], waits=executor.waits):
        return executor.execute(look, rerun=rerun)


def report(table: Table, *, selection: Selection | None = None, baseline: str | None = None) -> "Report":
    """The finished runs of a table as cells, beside the published numbers; runs that are not done are missing.

    Args:
        table: From `load_table`.
        selection: The selection rule: `last`, `best-validation` or `best-test`; None: the profile's rule.
        baseline: Id of the row to which improvements are relative; None: each row's own.

    Raises:
        UsageError: A rule or row does not exist.
    """
    from rdc_sweeps.reporting.report import build_report

    return build_report(table.runs, table.settings.root, selection=selection, baseline=baseline)


def write_report(
    tables: Sequence[Table], folder: Path, *, selection: Selection | None = None, baseline: str | None = None
) -> Path:
    """Write tables, and the studies in their runs folder, as HTML pages that need no network.

    Args:
        tables: From `load_table`, all with the same runs folder.
        folder: An earlier report in it is replaced, once the new one is complete.
        selection: See `report`.
        baseline: See `report`.

    Returns:
        The first page.

    Raises:
        UsageError: The folder holds something else, a table is named twice, or a package is missing.
    """
    from rdc_sweeps.web.folder import write_site

    return write_site(open_site(tables, selection=selection, baseline=baseline).read(), folder)


def open_site(
    tables: Sequence[Table], *, selection: Selection | None = None, baseline: str | None = None, live: bool = False
) -> "SiteReader":
    """The pages of tables, read again whenever they are asked for; see `write_report`.

    Args:
        tables: From `load_table`, all with the same runs folder.
        selection: See `report`.
        baseline: See `report`.
        live: Whether the pages refresh themselves.

    Raises:
        UsageError: A table is named twice, or a package is missing.
    """
    from rdc_sweeps.web.readings import RunReader, TableReader
    from rdc_sweeps.web.site import SiteReader

    settings = tables[0].settings
    runs = RunReader(settings.root)
    readers = [TableReader(table.runs, runs, selection=selection, baseline=baseline) for table in tables]
    return SiteReader(readers, settings.root, Catalogue(experiments_folder(settings)), live=live)


def claims(
    tables: Sequence[str] = (),
    *,
    seeds: Sequence[int] | None = None,
    changes: Mapping[str, Any] | Sequence[str] = (),
    compat: str | None = None,
    selection: Selection | None = None,
    **settings: Any,
) -> "ClaimsReport":
    """What finished runs, and the published numbers, say about the claims of the paper.

    Args:
        tables: Names of tables whose rows are compared, with each other as well; empty for all.
        seeds: Seeds; None: the profile's.
        changes: Fields that differ in every row, as for `load_table`.
        compat: See `load_table`.
        selection: See `report`.
        **settings: See `load_table`.

    Raises:
        UsageError: A table, profile, rule or setting does not exist.
        SpecError: All problems of the rows.
    """
    from rdc_sweeps.reporting.evidence import build_claims

    chosen = load_settings(**settings)
    catalogue = Catalogue(experiments_folder(chosen))
    runs = [
        run
        for name in dict.fromkeys(tables or catalogue.tables)
        for run in catalogue.runs(name, chosen.profile, seeds=seeds, settings=assignments(changes), compat=compat)
    ]
    return build_claims(runs, chosen.root, selection=selection)
