"""Running a study from its file to its report; imports Optuna and PyTorch only when they are needed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdc_sweeps.dispatch.executors import Executor, Listener, Start, Workers, executor_for
from rdc_sweeps.dispatch.plan import plan
from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.document import Document
from rdc_sweeps.specs.run import run_id
from rdc_sweeps.specs.study import StudySpec
from rdc_sweeps.specs.validation import build
from rdc_sweeps.tuning.tuned_row import StudyFile, TunedRow, confirmation_runs, find_study, needed_runs, resolve_study

if TYPE_CHECKING:
    from rdc_sweeps.tuning.study import Study
    from rdc_sweeps.tuning.study_report import StudyReport

EXTRA = ("optuna", "jinja2")
"""Packages of the extra `tune`."""

HTML = "report.html"


@dataclass(frozen=True)
class StudyRequest:
    """A study with its row resolved, and how it is to be run."""

    tuned: TunedRow
    name: str
    """Name of its folder below the runs folder."""
    trials: int
    storage: str | None
    """URL; None: a journal in its folder."""
    settings: Settings
    catalogue: Catalogue


@dataclass(frozen=True)
class EnqueuedTrial:
    """A configuration that is tried before the sampler chooses any."""

    values: Mapping[str, Any]
    runs: Mapping[int, str]
    """Run ids by seed."""


@dataclass(frozen=True)
class StudyPlan:
    """What is known of a study before anything is trained."""

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
        """As plain values."""
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
            "epochs": tuned.run.training.epochs,
            "asked": self.asked,
            "finished": self.finished,
            "to_do": self.to_do,
            "tried_first": [{"values": dict(one.values), "runs": dict(one.runs)} for one in self.tried_first],
            "baseline": {"row": tuned.baseline_row, "runs": dict(self.baseline)} if self.baseline else None,
            "confirm": list(spec.confirm),
        }


@dataclass(frozen=True)
class StudyResult:
    """What a study has found so far, and the files in its folder that show it."""

    report: "StudyReport"
    files: tuple[str, ...]
    """Names of the figures and of the HTML report."""
    complete: bool = True
    """False if this call should have finished trials or confirmation runs and has not."""

    def to_data(self) -> dict[str, Any]:
        """As plain values."""
        return {**self.report.to_data(), "files": list(self.files)}


class StudyListener(Listener):
    """Is told what `run_study` does; `training` is for the workers of the study, unless it is given runs to confirm."""

    def opened(self, study: "Study", missing: int) -> None:
        """The study is open and lacks so many trials; with none missing no workers are started."""

    def workers_failed(self, errors: Mapping[str, Path]) -> None:
        """Workers have ended with errors, each with the log that has more."""

    def confirming(self, study: "Study", trial: int) -> None:
        """The configuration of this trial, the row as it is and the baseline are trained with confirmation seeds."""


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
        study: Its name, or the path of its YAML file.
        settings: Profile, runs folder, executor and whatever else its runs need.
        trials: How many trials it is to have, those of earlier calls included; None: the file's number.
        storage: URL of the storage of its trials; None: a journal in its folder.
        table: Another table than the file's.
        row: Another row than the file's.
        name: Name of its folder; None: `STUDY-PROFILE`.
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
        raise UsageError(f"tuning needs {', '.join(missing)}: pip install 'rdc-sweeps[tune]'")


def plan_study(request: StudyRequest) -> StudyPlan:
    """What a study would try first, what it would be compared with, and how far it is; nothing is created."""
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


def run_study(
    request: StudyRequest,
    *,
    workers: int | None = None,
    confirm: bool = True,
    listener: StudyListener | None = None,
) -> StudyResult:
    """Train the trials that are missing, then the runs that confirm the choice, and write the report.

    An executor that does not wait (Slurm) returns after it has submitted workers; the next call continues from there.
    Interrupted (KeyboardInterrupt), all runs save checkpoints, from which the next call resumes.

    Args:
        request: From `request_study`.
        workers: Trials at once; None: as many as suit the machine or the node profile.
        confirm: Train the chosen configuration with the confirmation seeds once all trials are finished.
        listener: Is told what happens meanwhile.

    Raises:
        RdcError: Data, weights or region maps are missing or damaged.
        UsageError: The name is another study's, or a package is missing.
        UnavailableError: The storage or the scheduler does not answer.
    """
    require_extra()
    from rdc_sweeps.tuning.study import open_study

    listener = listener or StudyListener()
    executor = executor_for(request.settings, listener)
    study = open_study(request.settings.root, request.name, request.tuned, request.storage)
    asked = study.ask_for(request.trials)
    missing = max(0, asked - study.finished)
    listener.opened(study, missing)
    if missing:
        _train(study, request, executor, listener, missing, workers)
    unconfirmed = _confirm(study, request, executor, listener) if confirm else []
    result = report_study(study, request.catalogue)
    waited = executor.waits and result.report.summary.finished < asked
    return StudyResult(result.report, result.files, complete=not (waited or unconfirmed))


def show_study(study: str, settings: Settings, *, storage: str | None = None, name: str | None = None) -> StudyResult:
    """Draw and report what a study has found so far, without its file's changes since; nothing is trained.

    Args:
        study: Its name, or the path of its YAML file.
        settings: Profile and runs folder.
        storage: URL of the storage of its trials, if it needs a password.
        name: Name of its folder; None: `STUDY-PROFILE`.

    Raises:
        UsageError: It has not been started, or a package is missing.
        UnavailableError: The storage cannot be reached.
    """
    folder_name = study_name(find_study(study), settings, name)
    require_extra()
    from rdc_sweeps.tuning.study import load_study

    return report_study(load_study(settings.root, folder_name, storage), Catalogue(experiments_folder(settings)))


def report_study(study: "Study", catalogue: Catalogue) -> StudyResult:
    """Draw the figures of a study, write its HTML report, and return what it has found; nothing is trained."""
    from rdc_sweeps.tuning.figures import draw_figures, write_figures
    from rdc_sweeps.tuning.study_html import write_html
    from rdc_sweeps.tuning.study_report import build_study_report

    report = build_study_report(study, catalogue)
    figures = draw_figures(report.summary, report.tuned.spec.space)
    files = [path.name for path in write_figures(figures, report.folder)]
    write_html(report, figures, report.folder / HTML)
    return StudyResult(report, (*files, HTML))


def _train(
    study: "Study",
    request: StudyRequest,
    executor: Executor,
    listener: StudyListener,
    missing: int,
    workers: int | None,
) -> None:
    from rdc_sweeps.tuning.study_workers import work_in_pool

    if study.url.password and not executor.waits:
        raise UsageError(
            "--storage: job files are no place for a password; leave it out of the URL, and give it by ~/.pgpass or "
            "PGPASSWORD"
        )

    def work_here(start: Start, settings: Settings, watch: Any) -> Sequence[int]:
        return work_in_pool(
            settings.root,
            study.name,
            settings,
            study.asked,
            workers=start.slots.runs,
            gpus=start.gpus,
            storage=request.storage,
            watch=watch,
        )

    begun = time.time()
    codes = executor.start_workers(
        Workers(
            about=f"study {study.name}",
            runs=needed_runs(study.tuned, request.catalogue),
            useful=missing,
            wanted=workers,
            work_here=work_here,
            command=("study-worker", study.name, "--trials", str(study.asked)),
        )
    )
    if any(codes):
        listener.workers_failed(_last_errors(study.folder.workers, begun))


def _last_errors(folder: Path, since: float) -> dict[str, Path]:
    """The last error in each log that was written since a time, each different error once."""
    logs = [path for path in folder.glob("*.log") if path.stat().st_mtime >= since]
    found: dict[str, Path] = {}
    for log in sorted(logs, key=lambda path: path.stat().st_mtime):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line.partition(" ERROR ")[2] for line in lines if " ERROR " in line]
        if errors:
            found[errors[-1]] = log
    return found


def _confirm(study: "Study", request: StudyRequest, executor: Executor, listener: StudyListener) -> list[str]:
    """Train the choice, the row as it is and their baseline with the confirmation seeds; returns runs not done."""
    from rdc_sweeps.tuning.study_report import chosen_runs
    from rdc_sweeps.tuning.summary import summarise

    summary = summarise(study)
    runs = chosen_runs(study.tuned, summary, request.catalogue)
    if summary.finished < summary.asked or summary.best is None or not runs:
        return []
    listener.confirming(study, summary.best.number)
    return executor.execute(partial(plan, runs, request.settings.root))
