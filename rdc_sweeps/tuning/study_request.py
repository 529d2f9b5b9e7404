"""Requests of studies, resolved before anything is trained; light to import, because the dry run needs them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.document import Document
from rdc_sweeps.specs.run import run_id
from rdc_sweeps.specs.study import StudySpec
from rdc_sweeps.specs.validation import build
from rdc_sweeps.tuning.tuned_row import StudyFile, TunedRow, confirmation_runs, find_study, resolve_study

EXTRA = ("optuna", "jinja2")
"""Packages of the extra `tune`."""


@dataclass(frozen=True)
class StudyRequest:
    """A study with its row resolved, and how to run it."""

    tuned: TunedRow
    name: str
    """Name of the study's folder in the runs folder."""
    trials: int
    storage: str | None
    """URL of the storage; None for a journal in the study's folder."""
    settings: Settings
    catalogue: Catalogue


@dataclass(frozen=True)
class EnqueuedTrial:
    """A configuration that is tried before the sampler chooses one."""

    values: Mapping[str, Any]
    runs: Mapping[int, str]
    """Run ids by seed."""


@dataclass(frozen=True)
class StudyPlan:
    """What is known about a study before anything is trained."""

    tuned: TunedRow
    name: str
    asked: int
    finished: int
    tried_first: tuple[EnqueuedTrial, ...]
    baseline: Mapping[int, str]
    """Run ids of the baseline row by seed; empty if the objective is one metric."""

    @property
    def to_do(self) -> int:
        """Trials that are not finished."""
        return max(0, self.asked - self.finished)

    def to_data(self) -> dict[str, Any]:
        """The plan as plain values."""
        tuned, spec = self.tuned, self.tuned.spec
        return {
            "study": spec.study,
            "name": self.name,
            "table": spec.table,
            "row": spec.row,
            "profile": tuned.profile,
            "objective": spec.objective.model_dump(mode="json"),
            "space": {path: drawn.model_dump(mode="json") for path, drawn in spec.space.items()},
            "own_values": tuned.own_values,
            "seeds": list(spec.seeds),
            "epochs": tuned.run.length.epochs,
            "asked": self.asked,
            "finished": self.finished,
            "to_do": self.to_do,
            "tried_first": [{"values": dict(one.values), "runs": dict(one.runs)} for one in self.tried_first],
            "baseline": {"row": tuned.baseline_row, "runs": dict(self.baseline)} if self.baseline else None,
            "confirm": list(spec.confirm),
        }


def request_study(
    study: str,
    settings: Settings,
    *,
    trials: int | None = None,
    storage: str | None = None,
    table: str | None = None,
    row: str | None = None,
    name: str | None = None,
    seeds: Sequence[int] | None = None,
    changes: Sequence[str] = (),
) -> StudyRequest:
    """Resolve a study; nothing is created.

    Args:
        study: Name of the study, or path of its YAML file.
        settings: Profile, runs folder, executor and whatever else the runs need.
        trials: Total number of trials, including those of earlier calls; None: the file's.
        storage: URL of the storage of the trials; None: a journal in the study's folder.
        table: Replaces the file's table.
        row: Replaces the file's row.
        name: Name of the study's folder; None: `STUDY-PROFILE`.
        seeds: Seeds of each trial; None: the file's.
        changes: Assignments `a.b=c` for all trials.

    Raises:
        UsageError: A study, table, row or profile that does not exist, or a name that cannot be a folder's.
        SpecError: All problems of the study, also those of the runs that will confirm its choice.
    """
    file = _with_seeds(find_study(study), seeds)
    folder_name = study_name(file, settings, name)
    catalogue = Catalogue(experiments_folder(settings))
    tuned = resolve_study(file, catalogue, settings.profile, table=table, row=row, settings=changes)
    if tuned.spec.confirm:
        # A configuration that could not be confirmed at the end is reported before anything is trained.
        confirmation_runs(tuned, catalogue, tuned.own_values)
    return StudyRequest(tuned, folder_name, trials or tuned.spec.trials, storage, settings, catalogue)


def study_name(file: StudyFile, settings: Settings, name: str | None = None) -> str:
    """The name of a study's folder: the one given, or the study's and the profile's.

    Raises:
        UsageError: It is not a plain name, but leads to another folder.
    """
    chosen = name or f"{file.spec.study}-{settings.profile}"
    if chosen in {".", ".."} or any(character in chosen for character in "/\\\0"):
        raise UsageError(f"--study {chosen!r}: must be a plain name, such as covariance-2")
    return chosen


def _with_seeds(file: StudyFile, seeds: Sequence[int] | None) -> StudyFile:
    if seeds is None:
        return file
    document = file.document
    changed = Document({**document.data, "seeds": list(seeds)}, {**document.places, ("seeds",): "--seeds"})
    return StudyFile(build(StudySpec, changed), changed)


def require_extra() -> None:
    """Check that the packages of the extra `tune` are installed.

    Raises:
        UsageError: Names those that are not.
    """
    missing = [package for package in EXTRA if find_spec(package) is None]
    if missing:
        raise UsageError(f"tuning needs {', '.join(missing)}: pip install -e '.[tune]' in the checkout")


def plan_study(request: StudyRequest) -> StudyPlan:
    """What a study would try first, its baseline, and its progress; nothing is created."""
    tuned, finished = request.tuned, 0
    seeds = tuned.spec.seeds
    if (request.settings.root / "studies" / request.name / "study.yaml").exists():
        require_extra()
        from rdc_sweeps.tuning.study import open_study

        finished = open_study(request.settings.root, request.name, tuned, request.storage).finished
    first = (
        EnqueuedTrial(values, {seed: run_id(tuned.run_with(values, seed)) for seed in seeds})
        for values in tuned.enqueued()
    )
    baseline = {seed: run_id(run) for seed in seeds if (run := tuned.baseline_run(seed)) is not None}
    return StudyPlan(tuned, request.name, request.trials, finished, tuple(first), baseline)
