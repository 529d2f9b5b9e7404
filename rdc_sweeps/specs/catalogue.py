"""The tables and profiles of an experiments folder, and the runs they resolve to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from rdc_sweeps.errors import SpecError, UsageError
from rdc_sweeps.specs.document import Document, assignment, overlay, read_document, replaced
from rdc_sweeps.specs.fields import at_path
from rdc_sweeps.specs.method import Combined
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.specs.table import CompatSpec, ProfileSpec, RowSpec, TableSpec
from rdc_sweeps.specs.validation import Model, build, suggestion

COMBINED: str = Combined.model_fields["name"].default

Kind = Literal["table", "profile", "compat"]


@dataclass(frozen=True)
class Run:
    """A row of a table with one seed, resolved under a profile."""

    table: TableSpec
    row: RowSpec
    profile: ProfileSpec
    spec: RunSpec
    changes: tuple[str, ...] = ()
    """Flags that changed the spec: `--compat` and `--set`."""

    @cached_property
    def id(self) -> str:
        """Identity of the training; the same in every table that contains it."""
        return run_id(self.spec)

    @property
    def title(self) -> str:
        """`table/row seed N`, as messages name it."""
        return f"{self.table.table}/{self.row.id} seed {self.spec.seed}"


_FOLDERS: dict[Kind, str] = {"table": ".", "profile": "profiles", "compat": "compat"}


class Catalogue:
    """An experiments folder: tables, `profiles/`, and `compat/` (overlays that reproduce other code's behaviour)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[Kind, dict[str, Path]] = {
            kind: {path.stem: path for path in sorted((folder / subfolder).glob("*.yaml"), key=lambda path: path.stem)}
            for kind, subfolder in _FOLDERS.items()
        }
        if not self._files["table"]:
            raise UsageError(f"{folder}: no tables here; pass a folder of table YAML files with --experiments")

    @property
    def tables(self) -> list[str]:
        """Names of the tables."""
        return list(self._files["table"])

    @property
    def profiles(self) -> list[str]:
        """Names of the profiles."""
        return list(self._files["profile"])

    def table(self, name: str) -> TableSpec:
        """One table.

        Raises:
            UsageError: There is no such table.
            SpecError: Its file has problems.
        """
        return self._valid("table", name, TableSpec)

    def profile(self, name: str) -> ProfileSpec:
        """One profile.

        Raises:
            UsageError: There is no such profile.
            SpecError: Its file has problems.
        """
        return self._valid("profile", name, ProfileSpec)

    def _valid(self, kind: Kind, name: str, model: type[Model]) -> Model:
        _, spec, problems = self._read(kind, name, model)
        if spec is None or problems:
            raise SpecError(problems)
        return spec

    def _read(self, kind: Kind, name: str, model: type[Model]) -> tuple[Document, Model | None, list[str]]:
        """A file's values, its spec if valid, and its problems."""
        files = self._files[kind]
        if name not in files:
            raise UsageError(unknown(kind, name, files))
        try:
            document = read_document(files[name])
        except SpecError as error:
            return Document({}), None, error.problems
        problems: list[str] = []
        spec = None
        try:
            spec = build(model, document)
        except SpecError as error:
            problems += error.problems
        if (found := document.data.get(kind)) not in {None, name} and isinstance(found, str):
            problems.append(f"{document.place((kind,))}: {kind}: must be the file's name {name!r}, found {found!r}")
        return document, spec, problems

    def runs(
        self,
        table: str,
        profile: str,
        *,
        rows: Sequence[str] = (),
        seeds: Sequence[int] | None = None,
        settings: Sequence[str] = (),
        compat: str | None = None,
    ) -> list[Run]:
        """Resolve rows x seeds of a table.

        Defaults, row, profile, compat, what is tuned for the row under the profile, and `--set` are overlaid in this
        order.

        Args:
            table: Name of the table.
            profile: Name of the profile.
            rows: Row ids; empty means all.
            seeds: Seeds; None means the profile's.
            settings: Assignments `a.b=c`, applied last.
            compat: Name of the code to follow where it differs from the paper.

        Raises:
            UsageError: A name does not exist.
            SpecError: All problems of all rows, together.
        """
        table_document, table_spec, problems = self._read("table", table, TableSpec)
        profile_document, profile_spec, of_profile = self._read("profile", profile, ProfileSpec)
        layers = [profile_document]
        changes = tuple(f"--set {text}" for text in settings)
        if compat is not None:
            compat_document, compat_spec, of_compat = self._read("compat", compat, CompatSpec)
            layers.append(compat_document)
            changes = (f"--compat {compat}", *changes)
            problems = problems + of_compat
            if compat_spec is not None and profile_spec is not None:
                profile_spec = profile_spec.model_copy(update={"selection": compat_spec.selection})
        assignments, of_settings = _assignments(settings)
        problems = problems + of_profile + of_settings
        if table_spec is not None:
            _check_rows(table_spec, rows)
            problems = problems + self._unknown_profiles(table_document)
        defaults = table_document.at("defaults")
        runs: list[Run] = []
        overlays = [
            (one.get("when"), layer.at("overlays", number, "set"))
            for layer in layers
            for number, one in _mappings(layer, "overlays")
        ]
        # Rows are checked even if there are problems already, so that all are reported at once.
        for index, row in _mappings(table_document, "rows"):
            if (rows and row.get("id") not in rows) or not isinstance(row.get("spec", {}), dict):
                continue
            document = overlay(defaults, table_document.at("rows", index, "spec"))
            for when, top in overlays:
                document = _overlaid(document, when, top)
            for last in (table_document.at("rows", index, "tuned", profile), *assignments):
                document = overlay(document, last)
            # Problems that no single field causes are reported for the row.
            place = table_document.place(("rows", index))
            try:
                spec = build(RunSpec, Document(document.data, document.places | {(): f"{place}: {row.get('id')}"}))
            except SpecError as error:
                problems += error.problems
                continue
            if table_spec is not None and profile_spec is not None:
                own = (spec.seed,) if "seed" in document.data else profile_spec.seeds
                runs += [
                    Run(table_spec, table_spec.rows[index], profile_spec, seeded, changes)
                    for seed in (own if seeds is None else seeds)
                    if (seeded := spec.model_copy(update={"seed": seed}))
                ]
        if problems:
            raise SpecError(list(dict.fromkeys(problems)))
        return runs

    def _unknown_profiles(self, table: Document) -> list[str]:
        """The problems of rows that are tuned under profiles that there are not."""
        return [
            f"{table.place(('rows', index, 'tuned', name))}: rows[{index}].tuned: "
            + unknown("profile", name, self.profiles)
            for index, _ in _mappings(table, "rows")
            for name in table.at("rows", index, "tuned").data
            if name not in self.profiles
        ]

    def problems(self, tables: Iterable[str]) -> list[str]:
        """All distinct problems of the named tables under every profile."""
        found: list[str] = []
        for table in tables:
            for profile in self.profiles:
                for compat in (None, *self._files["compat"]):
                    try:
                        self.runs(table, profile, compat=compat)
                    except SpecError as error:
                        found += error.problems
        return list(dict.fromkeys(found))


def _check_rows(table: TableSpec, rows: Sequence[str]) -> None:
    known = [row.id for row in table.rows]
    for row in rows:
        if row not in known:
            raise UsageError(unknown(f"row of {table.table}", row, known))


def _assignments(settings: Sequence[str]) -> tuple[list[Document], list[str]]:
    documents, problems = [], []
    for text in settings:
        try:
            documents.append(assignment(text))
        except SpecError as error:
            problems += error.problems
    return documents, problems


def _mappings(document: Document, key: str) -> list[tuple[int, dict[str, Any]]]:
    """The items of a list of mappings, with their indices; a file with problems may hold something else."""
    items = document.data.get(key)
    return [
        (index, item) for index, item in enumerate(items if isinstance(items, list) else []) if isinstance(item, dict)
    ]


def _overlaid(document: Document, when: Any, top: Document) -> Document:
    """A run's document under an overlay that applies `when` it has these values.

    What an overlay says about a method also holds for that method as a term of a combined one: the overlay is applied
    once for each term, as if the term were the method.
    """
    if at_path(document.data, "method.name", None) != COMBINED:
        return overlay(document, top) if _matches(document, when) else document
    method = document.at("method")
    for term in [name for name, fields in method.data.items() if isinstance(fields, dict)]:
        alone = method.at(term)
        as_method = replaced(document, "method", Document({"name": term, **alone.data}, alone.places))
        if _matches(as_method, when):
            document = overlay(as_method, top)
            method = replaced(method, term, document.at("method"))
            document = replaced(document, "method", method)
    return document


def _matches(document: Document, when: Any) -> bool:
    """Whether a run has these values, whether written or by default."""
    if not isinstance(when, dict):
        return True

    def fits(found: Any, wanted: Any) -> bool:
        return found in wanted if isinstance(wanted, list) else found == wanted

    written = {path: at_path(document.data, path, None) for path in when}
    if any(found is not None and not fits(found, when[path]) for path, found in written.items()):
        return False
    if None not in written.values():
        return True
    # Defaults decide; filling them in is by far the slowest step here.
    try:
        data = RunSpec.model_validate(document.data).model_dump(mode="json")
    except ValidationError:
        return False
    return all(fits(at_path(data, path, None), wanted) for path, wanted in when.items())


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for an unknown name, with the closest match and the valid names."""
    return f"no {kind} {name!r}{suggestion(name, known)}"
