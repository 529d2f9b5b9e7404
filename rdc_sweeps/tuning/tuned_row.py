"""Study files, and the row of a study resolved under a profile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rdc_sweeps.errors import SpecError, UsageError
from rdc_sweeps.specs.catalogue import Catalogue, Run, unknown
from rdc_sweeps.specs.document import Document, assignment, assignments, overlay, read_document
from rdc_sweeps.specs.fields import at_path, with_values
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.study import AlignmentObjective, DeltaObjective, HyperbandPruner, StudySpec
from rdc_sweeps.specs.table import RowSpec
from rdc_sweeps.specs.validation import build
from rdc_sweeps.tuning.alignment import with_probes, with_term
from rdc_sweeps.tuning.space_check import space_problems

VALIDATION = "dataset.validation_images"


@dataclass(frozen=True)
class StudyFile:
    """A study as written in its file."""

    spec: StudySpec
    document: Document


@dataclass(frozen=True)
class TunedRow:
    """A study with its row resolved, and the baseline row that it is compared with."""

    spec: StudySpec
    profile: str
    metrics: tuple[str, ...]
    """Metrics of the table; delta-m is the mean improvement over these."""
    row: RowSpec
    run: RunSpec
    """The row under the profile, with `set` and the study's epochs, the probes that the objective needs, and the first
    seed."""
    baseline: RunSpec | None
    baseline_row: str | None

    @property
    def own_values(self) -> dict[str, Any]:
        """The row's values without the study, by path of the space."""
        data = self.run.model_dump(mode="json")
        return {path: at_path(data, path) for path in self.spec.space}

    def run_with(self, values: Mapping[str, Any], seed: int) -> RunSpec:
        """The run of a trial with one seed.

        Raises:
            SpecError: The values do not make a valid run; all values of a checked space do.
        """
        data = with_values(self.run.model_dump(mode="json"), values)
        return build(RunSpec, Document({**data, "seed": seed}))

    def baseline_run(self, seed: int) -> RunSpec | None:
        """The baseline run of a seed, from which delta-m is computed."""
        return None if self.baseline is None else self.baseline.model_copy(update={"seed": seed})

    def enqueued(self) -> list[dict[str, Any]]:
        """The configurations to try first: complete, without duplicates, and inside the space."""
        complete = ({**self.own_values, **values} for values in self.spec.enqueue)
        found = []
        for values in complete:
            inside = all(self.spec.space[path].contains(value) for path, value in values.items())
            if inside and values not in found:
                found.append(values)
        return found

    def chosen_settings(self, values: Mapping[str, Any]) -> list[str]:
        """Assignments that give the row a configuration: its values, and the changes of `set` to the method.

        Other changes of `set`, such as fewer images, belong to the study alone, and also apply to the baseline row.
        """
        kept = [text for text in assignments(self.spec.set) if _is_of_method(text)]
        return kept + assignments(values)

    def chosen_row(self, values: Mapping[str, Any]) -> RowSpec:
        """The row of a configuration, as written in a table file: that of the study, tuned under its profile."""
        document = Document(self.row.tuned.get(self.profile, {}))
        for text in self.chosen_settings(values):
            document = overlay(document, assignment(text))
        # Readers of a table must know that withheld labels were used.
        by_alignment = isinstance(self.spec.objective, AlignmentObjective)
        chosen_by = ", by alignment with all labels of training images" if by_alignment else ""
        return RowSpec(
            id=f"{self.row.id}-tuned",
            method=f"{self.row.method}, tuned",
            spec=self.row.spec,
            tuned={**self.row.tuned, self.profile: document.data},
            baseline=self.baseline_row or self.row.baseline,
            notes=f"tuned by study {self.spec.study} under profile {self.profile}{chosen_by}",
        )


def confirmation_runs(tuned: TunedRow, catalogue: Catalogue, values: Mapping[str, Any]) -> list[Run]:
    """The confirmation runs: baseline, row and tuned row with the confirmation seeds.

    They train for as many epochs and on as many images as the profile says; no images are held out for the choice.

    Raises:
        UsageError: The study has no confirmation seeds.
        SpecError: The table or profile has changed and has problems.
    """
    spec = tuned.spec
    if not spec.confirm:
        raise UsageError(f"study {spec.study} has no seeds to confirm with; add `confirm: [1, 2, 3]`")
    rows = [spec.row] if tuned.baseline_row is None else [tuned.baseline_row, spec.row]
    plain = catalogue.runs(spec.table, tuned.profile, rows=rows, seeds=spec.confirm)
    changed = catalogue.runs(
        spec.table, tuned.profile, rows=[spec.row], seeds=spec.confirm, settings=tuned.chosen_settings(values)
    )
    row = tuned.chosen_row(values)
    return [*plain, *(replace(run, row=row, changes=()) for run in changed)]


def needed_runs(tuned: TunedRow, catalogue: Catalogue) -> list[Run]:
    """The row and its baseline with the study's seeds; every trial needs the same data, weights and regions.

    No field that a study may tune changes these inputs.
    """
    table, profile = catalogue.table(tuned.spec.table), catalogue.profile(tuned.profile)
    rows = {row.id: row for row in table.rows}
    found = []
    for seed in tuned.spec.seeds:
        found.append(Run(table, tuned.row, profile, tuned.run.model_copy(update={"seed": seed})))
        if (baseline := tuned.baseline_run(seed)) is not None:
            found.append(Run(table, rows[str(tuned.baseline_row)], profile, baseline))
    return found


def read_study(path: Path) -> StudyFile:
    """Read a study file.

    Raises:
        SpecError: All problems that the file alone shows.
    """
    document = read_document(path)
    spec = build(StudySpec, document)
    if spec.study != path.stem:
        raise SpecError([f"{document.place(('study',))}: study: must be the file's name {path.stem!r}"])
    return StudyFile(spec, document)


def study_files() -> dict[str, Path]:
    """The studies in ./sweeps and those that are shipped with the package, by name."""
    package = Path(__file__).resolve().parents[1]
    shipped = next((path for path in (package / "sweeps", package.parent / "sweeps") if path.is_dir()), None)
    folders = [folder for folder in (shipped, Path("sweeps")) if folder is not None]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def find_study(name: str) -> StudyFile:
    """Find a study by its name, or by the path of its file.

    Raises:
        UsageError: There is none.
        SpecError: It has problems.
    """
    if name.endswith((".yaml", ".yml")):
        return read_study(Path(name))
    files = study_files()
    if name not in files:
        raise UsageError(unknown("study", name, files) + "; or name a .yaml file")
    return read_study(files[name])


def resolve_study(
    file: StudyFile,
    catalogue: Catalogue,
    profile: str,
    *,
    table: str | None = None,
    row: str | None = None,
    settings: Sequence[str] = (),
) -> TunedRow:
    """Resolve a study's row under a profile, and check that every configuration of its space can be trained.

    Args:
        file: The study.
        catalogue: The tables.
        profile: Name of the profile.
        table: Replaces the file's table.
        row: Replaces the file's row.
        settings: Assignments `a.b=c` in addition to those of the file.

    Raises:
        UsageError: A table, row or profile that does not exist.
        SpecError: All problems.
    """
    changes = [*assignments(file.spec.set), *settings]
    spec = file.spec.model_copy(
        update={"table": table or file.spec.table, "row": row or file.spec.row, "set": tuple(changes)}
    )
    tuned = _run(file, catalogue, profile, spec, spec.row, changes)
    problems = []
    baseline_row, baseline = None, None
    if isinstance(spec.objective, DeltaObjective):
        baseline_row = spec.objective.baseline or tuned.row.baseline
        if baseline_row in {None, spec.row}:
            problems.append(
                f"{_place(file, 'objective')}: objective: row {spec.row} has no baseline in {spec.table}; name one by "
                "{name: delta-m, baseline: ROW}, or tune one metric by {name: metric, metric: mIoU}"
            )
        else:
            shared = [text for text in changes if not _is_of_method(text)]
            baseline = _run(file, catalogue, profile, spec, str(baseline_row), shared).spec
    row_spec = tuned.spec
    if isinstance(spec.objective, AlignmentObjective):
        try:
            objective = with_term(spec.objective, spec, row_spec)
            spec, row_spec = spec.model_copy(update={"objective": objective}), with_probes(objective, row_spec)
        except UsageError as error:
            problems.append(f"{_place(file, 'objective')}: objective: {error}")
    elif row_spec.dataset.validation_images == 0:
        problems.append(
            f"{_place(file, 'set')}: {VALIDATION}: is 0 for {spec.table}/{spec.row} under {profile}; a study chooses "
            f"by images held out of the training split and never by the test set: set {VALIDATION}=80"
        )
    epochs = row_spec.length.epochs
    if isinstance(spec.pruner, HyperbandPruner) and 1 < spec.pruner.min_epochs >= epochs * len(spec.seeds):
        problems.append(
            f"{_place(file, 'pruner', 'min_epochs')}: pruner.min_epochs: must be less than the {epochs} epochs of a "
            f"trial, found {spec.pruner.min_epochs}"
        )
    problems += space_problems(spec, row_spec, lambda *location: _place(file, *location))
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))
    return TunedRow(spec, profile, tuned.table.metrics, tuned.row, row_spec, baseline, baseline_row)


def _run(file: StudyFile, catalogue: Catalogue, profile: str, spec: StudySpec, row: str, changes: Sequence[str]) -> Run:
    budget = [] if spec.epochs is None else [f"training.epochs={spec.epochs}", "training.iterations=null"]
    try:
        return catalogue.runs(spec.table, profile, rows=[row], seeds=spec.seeds[:1], settings=[*changes, *budget])[0]
    except SpecError as error:
        places = {f"--set {text}": _place(file, "set") for text in assignments(file.spec.set)}
        places.update({f"--set {text}": _place(file, "epochs") for text in budget})
        raise SpecError([_moved(problem, places) for problem in error.problems]) from error


def _moved(problem: str, places: Mapping[str, str]) -> str:
    """A problem of an assignment, with the place in the study that the assignment comes from."""
    for flag, place in places.items():
        if problem.startswith(flag):
            return f"{place}{problem.removeprefix(flag)}"
    return problem


def _place(file: StudyFile, *location: str | int) -> str:
    return file.document.place(location) or "study"


def _is_of_method(assignment: str) -> bool:
    return assignment.partition("=")[0].partition(".")[0].strip() == "method"
