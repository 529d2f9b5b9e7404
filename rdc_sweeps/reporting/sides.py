"""The sides of a comparison or figure: rows with their seeds, or single runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.runs.directory import RunDirectory, find_run
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs.catalogue import Catalogue, unknown
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.texts import visible

LIKELY_SEEDS = range(20)
"""Seeds of which runs are looked for besides those of the profile."""


@dataclass(frozen=True)
class Side:
    """A row with the runs of its seeds, or one run.

    Attributes:
        name: A short name for figures and tables, safe to print.
        title: Where it comes from: table, row and seeds.
        spec: The spec of its first run.
        runs: The runs that have a directory, by seed; at least one.
        selection: The profile's rule for the epoch that counts.
    """

    name: str
    title: str
    spec: RunSpec
    runs: dict[int, RunDirectory]
    selection: Selection

    def run(self, seed: int | None) -> RunDirectory:
        """The run of a seed; the first one if it is None or missing."""
        first = next(iter(self.runs.values()))
        return first if seed is None else self.runs.get(seed, first)


def find_sides(
    targets: Sequence[str], settings: Settings, *, seeds: Sequence[int] | None = None, changes: Sequence[str] = ()
) -> list[Side]:
    """The sides that are named, each once.

    Args:
        targets: Each a table (all of its rows), `TABLE/ROW`, or the first digits of a run's id.
        settings: Runs folder, experiments and profile.
        seeds: Seeds of rows; None: all of which there are runs, among the profile's and 0 to 19.
        changes: Assignments `a.b=c` with which rows were trained.

    Raises:
        UsageError: Something of this name does not exist, or a row has no run.
        SpecError: A table has problems.
    """
    try:
        catalogue = Catalogue(experiments_folder(settings))
    except UsageError:
        catalogue = None
    found: list[Side] = []
    for target in targets:
        table, slash, row = target.partition("/")
        if catalogue is not None and table in catalogue.tables:
            found += _of_table(catalogue, table, row if slash else None, settings, seeds, changes)
        elif slash:
            known = ", ".join(catalogue.tables) if catalogue else "none, for lack of a folder of tables"
            raise UsageError(f"{target!r}: there is no table {table!r}. Available: {known}")
        else:
            found.append(_of_run(find_run(settings.root, target), settings, catalogue))
    return _named_apart(list({(one.title, *(run.id for run in one.runs.values())): one for one in found}.values()))


def only_rows(sides: Sequence[Side], rows: Sequence[str]) -> list[Side]:
    """The sides of these names, in the order of the names; all if there are no names.

    Raises:
        UsageError: There is no side of a name.
    """
    if not rows:
        return list(sides)
    by_name = {side.name: side for side in sides}
    for row in rows:
        if row not in by_name:
            raise UsageError(unknown("row with runs", row, by_name))
    return [by_name[row] for row in rows]


def images_key(side: Side) -> object:
    """What two sides must share to have the same test images."""
    fields = side.spec.dataset.model_dump(mode="json")
    return {name: fields.get(name) for name in ("name", "size", "test_images", "seed")}


def _of_table(
    catalogue: Catalogue,
    table: str,
    row: str | None,
    settings: Settings,
    seeds: Sequence[int] | None,
    changes: Sequence[str],
) -> list[Side]:
    profile = catalogue.profile(settings.profile)
    likely = dict.fromkeys([*profile.seeds, *LIKELY_SEEDS])
    rows = () if row is None else (row,)
    runs = catalogue.runs(table, settings.profile, rows=rows, seeds=seeds or list(likely), settings=changes)
    sides: dict[str, Side] = {}
    for run in runs:
        directory = RunDirectory(settings.root, run.id)
        if not directory.spec.exists():
            continue
        side = sides.setdefault(run.row.id, Side(run.row.id, f"{table}/{run.row.id}", run.spec, {}, profile.selection))
        side.runs[run.spec.seed] = directory
    if not sides:
        wanted = table if row is None else f"{table}/{row}"
        raise UsageError(
            f"{wanted}: no run under profile {settings.profile} in {settings.root}; "
            f"train it with `rdc-sweep run {table} -p {settings.profile}`, or choose another --profile or --root"
        )
    return [replace(side, title=f"{side.title}, {_seeds_text(side.runs)}") for side in sides.values()]


def _of_run(directory: RunDirectory, settings: Settings, catalogue: Catalogue | None) -> Side:
    spec, origin = directory.read_spec(), directory.origin()
    selection: Selection = "last"
    if origin is not None and catalogue is not None and origin.profile in catalogue.profiles:
        selection = catalogue.profile(origin.profile).selection
    row = origin.row if origin else directory.id[:8]
    title = f"{origin.table}/{origin.row}, seed {spec.seed}, run {directory.id}" if origin else f"run {directory.id}"
    return Side(visible(row), visible(title), spec, {spec.seed: directory}, selection)


def _seeds_text(seeds: dict[int, RunDirectory]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _named_apart(sides: list[Side]) -> list[Side]:
    """The same sides, with table, seed or run in the names of those that would have the same."""
    names = [side.name for side in sides]
    for longer in (
        lambda side: f"{side.name} seed {', '.join(map(str, side.runs))}",
        lambda side: side.title,
    ):
        names = [longer(side) if names.count(name) > 1 else name for side, name in zip(sides, names, strict=True)]
    return [replace(side, name=name) for side, name in zip(sides, names, strict=True)]
