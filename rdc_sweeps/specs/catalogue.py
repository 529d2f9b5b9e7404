"""The tables and profiles of an experiments folder, and the runs that they resolve to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rdc_sweeps.errors import SpecError, UsageError
from rdc_sweeps.specs.document import DISCRIMINATORS, Document, assignment, lookup, overlay, read_document
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.specs.table import ProfileSpec, RowSpec, TableSpec

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Run:
    """A row of a table with one seed, resolved under a profile."""

    table: TableSpec
    row: RowSpec
    profile: ProfileSpec
    spec: RunSpec
    changes: tuple[str, ...] = ()
    """Assignments of `--set` that the spec was changed by."""

    @cached_property
    def id(self) -> str:
        """Identity of the training; the same in every table that contains it."""
        return run_id(self.spec)

    @property
    def title(self) -> str:
        """`table/row seed N`, as messages name it."""
        return f"{self.table.table}/{self.row.id} seed {self.spec.seed}"


class Catalogue:
    """An experiments folder: `*.yaml` are tables, `profiles/*.yaml` are profiles."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tables = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
        self._profiles = {path.stem: path for path in sorted((folder / "profiles").glob("*.yaml"))}
        if not self._tables:
            raise UsageError(f"{folder}: no tables here; name a folder with table YAML files by --experiments")

    @property
    def tables(self) -> list[str]:
        """Names of the tables."""
        return list(self._tables)

    @property
    def profiles(self) -> list[str]:
        """Names of the profiles."""
        return list(self._profiles)

    def table(self, name: str) -> TableSpec:
        """One table.

        Raises:
            UsageError: There is no such table.
            SpecError: Its file has problems.
        """
        return self._load("table", self._tables, name, TableSpec)[0]

    def profile(self, name: str) -> ProfileSpec:
        """One profile.

        Raises:
            UsageError: There is no such profile.
            SpecError: Its file has problems.
        """
        return self._load("profile", self._profiles, name, ProfileSpec)[0]

    def _load(self, kind: str, files: dict[str, Path], name: str, model: type[Model]) -> tuple[Model, Document]:
        if name not in files:
            raise UsageError(unknown(kind, name, files))
        document = read_document(files[name])
        spec = build(model, document)
        if getattr(spec, kind) != name:
            raise SpecError([f"{document.place((kind,))}: {kind}: must be the file's name {name!r}"])
        return spec, document

    def runs(
        self,
        table: str,
        profile: str,
        *,
        rows: Sequence[str] = (),
        seeds: Sequence[int] | None = None,
        settings: Sequence[str] = (),
    ) -> list[Run]:
        """Rows x seeds of a table under a profile: defaults, row, profile and `--set` overlaid in this order.

        Args:
            table: Name of the table.
            profile: Name of the profile.
            rows: Ids of rows; none means all.
            seeds: Seeds; None means the profile's.
            settings: Assignments `a.b=c` over everything.

        Raises:
            UsageError: A name that does not exist.
            SpecError: All problems of all rows, together.
        """
        table_spec, table_document = self._load("table", self._tables, table, TableSpec)
        profile_spec, profile_document = self._load("profile", self._profiles, profile, ProfileSpec)
        for row in rows:
            if row not in {known.id for known in table_spec.rows}:
                raise UsageError(unknown(f"row of {table}", row, [known.id for known in table_spec.rows]))
        assignments = [assignment(text) for text in settings]
        runs: list[Run] = []
        problems: list[str] = []
        for index, row_spec in enumerate(table_spec.rows):
            if rows and row_spec.id not in rows:
                continue
            document = overlay(table_document.at("defaults"), table_document.at("rows", index, "spec"))
            for number, layer in enumerate(profile_spec.overlays):
                if _matches(document, layer.when):
                    document = overlay(document, profile_document.at("overlays", number, "set"))
            for one in assignments:
                document = overlay(document, one)
            try:
                spec = build(RunSpec, document, subject=f"{table}/{row_spec.id}")
            except SpecError as error:
                problems += error.problems
                continue
            fixed = (spec.seed,) if "seed" in document.data else profile_spec.seeds
            runs += [
                Run(table_spec, row_spec, profile_spec, spec.model_copy(update={"seed": seed}), tuple(settings))
                for seed in (fixed if seeds is None else seeds)
            ]
        if problems:
            raise SpecError(list(dict.fromkeys(problems)))
        return runs

    def problems(self, tables: Iterable[str]) -> list[str]:
        """Every problem of the named tables under every profile, each said once."""
        found: list[str] = []
        for table in tables:
            for profile in self.profiles:
                try:
                    self.runs(table, profile)
                except SpecError as error:
                    found += error.problems
        return list(dict.fromkeys(found))


def _matches(document: Document, when: dict[str, Any]) -> bool:
    def fits(found: Any, wanted: Any) -> bool:
        return found in wanted if isinstance(wanted, list) else found == wanted

    return all(fits(lookup(document.data, path), wanted) for path, wanted in when.items())


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for a name that is not there: what is, and what was perhaps meant."""
    return f"no {kind} {name!r}{suggestion(name, known)}"
