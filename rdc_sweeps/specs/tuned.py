"""A study's row under a profile: the runs that its space can make of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdc_sweeps.errors import SpecError, UsageError
from rdc_sweeps.specs.catalogue import Catalogue, Run, unknown
from rdc_sweeps.specs.document import Document, read_document
from rdc_sweeps.specs.probing import space_problems
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.study import DeltaObjective, HyperbandPruner, StudySpec
from rdc_sweeps.specs.values import at_path, with_values
from rdc_sweeps.specs.validation import build

VALIDATION = "dataset.validation_images"


@dataclass(frozen=True)
class StudyFile:
    """A study as it was written."""

    spec: StudySpec
    document: Document


@dataclass(frozen=True)
class TunedRow:
    """A study with its row resolved, and the row that it is compared with."""

    spec: StudySpec
    profile: str
    metrics: tuple[str, ...]
    """The table's, which delta-m is the mean over."""
    run: RunSpec
    baseline: RunSpec | None
    baseline_row: str | None

    @property
    def own_values(self) -> dict[str, Any]:
        """What the row has without the study, by path of the space."""
        data = self.run.model_dump(mode="json")
        return {path: at_path(data, path) for path in self.spec.space}

    def run_with(self, values: Mapping[str, Any], seed: int) -> RunSpec:
        """The run of a trial with one seed.

        Raises:
            SpecError: The values do not make a run; checked spaces have none such.
        """
        data = with_values(self.run.model_dump(mode="json"), values)
        return build(RunSpec, Document({**data, "seed": seed}))

    def baseline_run(self, seed: int) -> RunSpec | None:
        """The run that delta-m of this seed is counted from."""
        return None if self.baseline is None else self.baseline.model_copy(update={"seed": seed})

    def enqueued(self) -> list[dict[str, Any]]:
        """The configurations to try first, complete, each once; the row's own only if the space contains it."""
        complete = ({**self.own_values, **values} for values in self.spec.enqueue)
        found = []
        for values in complete:
            inside = all(self.spec.space[path].contains(value) for path, value in values.items())
            if inside and values not in found:
                found.append(values)
        return found

    def confirmation_settings(self, values: Mapping[str, Any]) -> list[str]:
        """Assignments that make the row the chosen configuration: `set` without its data, and the values."""
        kept = [text for text in assignments(self.spec.set) if not text.startswith("dataset")]
        return kept + [f"{path}={json.dumps(value)}" for path, value in values.items()]


def read_study(path: Path) -> StudyFile:
    """A study file.

    Raises:
        SpecError: All of its problems that the file alone shows.
    """
    document = read_document(path)
    spec = build(StudySpec, document)
    if spec.study != path.stem:
        raise SpecError([f"{document.place(('study',))}: study: must be the file's name {path.stem!r}"])
    return StudyFile(spec, document)


def sweeps_folder() -> Path:
    """The folder of studies: ./sweeps, or the one that came with the package."""
    package = Path(__file__).resolve().parents[1]
    candidates = (Path("sweeps"), package / "sweeps", package.parent / "sweeps")
    return next((folder for folder in candidates if folder.is_dir()), candidates[0])


def find_study(name: str) -> StudyFile:
    """A study by the name of its file in the folder of studies, or by a path.

    Raises:
        UsageError: There is none.
        SpecError: It has problems.
    """
    if name.endswith((".yaml", ".yml")):
        return read_study(Path(name))
    files = {path.stem: path for path in sorted(sweeps_folder().glob("*.yaml"))}
    if name not in files:
        raise UsageError(unknown("study", name, files) + f" (in {sweeps_folder()}); or name a .yaml file")
    return read_study(files[name])


def assignments(changes: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """`set` as the assignments that a catalogue takes."""
    if isinstance(changes, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    return list(changes)


def resolve_study(
    file: StudyFile,
    catalogue: Catalogue,
    profile: str,
    *,
    table: str | None = None,
    row: str | None = None,
    settings: Sequence[str] = (),
) -> TunedRow:
    """Resolve a study's row under a profile, and make sure that every configuration of its space can be trained.

    Args:
        file: The study.
        catalogue: The tables.
        profile: Name of the profile.
        table: Another table than the file's.
        row: Another row than the file's.
        settings: Assignments `a.b=c` besides those of the file.

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
    if row_spec.dataset.validation_images == 0:
        problems.append(
            f"{_place(file, 'set')}: {VALIDATION}: is 0 for {spec.table}/{spec.row} under {profile}; a study chooses by "
            f"images held out of the training split and never by the test set: set {VALIDATION}=80"
        )
    epochs = row_spec.training.epochs
    if isinstance(spec.pruner, HyperbandPruner) and spec.pruner.min_epochs >= epochs * len(spec.seeds):
        problems.append(
            f"{_place(file, 'pruner', 'min_epochs')}: pruner.min_epochs: must be less than the {epochs} epochs of a "
            f"trial, found {spec.pruner.min_epochs}"
        )
    problems += space_problems(spec, row_spec, lambda *location: _place(file, *location))
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))
    return TunedRow(spec, profile, tuned.table.metrics, row_spec, baseline, baseline_row if baseline else None)


def _run(
    file: StudyFile, catalogue: Catalogue, profile: str, spec: StudySpec, row: str, changes: Sequence[str]
) -> Run:
    budget = [] if spec.epochs is None else [f"training.epochs={spec.epochs}"]
    try:
        return catalogue.runs(spec.table, profile, rows=[row], seeds=spec.seeds[:1], settings=[*changes, *budget])[0]
    except SpecError as error:
        places = {f"--set {text}": _place(file, "set") for text in assignments(file.spec.set)}
        places.update({f"--set {text}": _place(file, "epochs") for text in budget})
        raise SpecError([_moved(problem, places) for problem in error.problems]) from error


def _moved(problem: str, places: Mapping[str, str]) -> str:
    """A problem of an assignment that nobody typed, at the place in the study that made it."""
    for flag, place in places.items():
        if problem.startswith(flag):
            return f"{place}{problem.removeprefix(flag)}"
    return problem


def _place(file: StudyFile, *location: str | int) -> str:
    return file.document.place(location) or "study"


def _is_of_method(assignment: str) -> bool:
    return assignment.partition("=")[0].partition(".")[0].strip() == "method"
