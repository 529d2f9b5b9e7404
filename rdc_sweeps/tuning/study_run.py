"""Running a study from its file to its report; imports Optuna and PyTorch only when they are needed."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdc_sweeps.dispatch.comparison import DataComparison
from rdc_sweeps.dispatch.executors import Executor, Listener, Start, Workers, executor_for
from rdc_sweeps.dispatch.plan import plan
from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tuning.study_request import StudyRequest, require_extra, study_name
from rdc_sweeps.tuning.tuned_row import find_study, needed_runs

if TYPE_CHECKING:
    from rdc_sweeps.tuning.study import Study
    from rdc_sweeps.tuning.study_report import StudyReport

HTML = "report.html"


@dataclass(frozen=True)
class StudyResult:
    """The state of a study, and the files in its folder that show it."""

    report: "StudyReport"
    files: tuple[str, ...]
    """Names of the figures and of the HTML report."""
    complete: bool = True
    """False if this call should have finished trials or confirmation runs and has not."""

    def to_data(self) -> dict[str, Any]:
        """The result as plain values."""
        return {**self.report.to_data(), "files": list(self.files)}


class StudyListener(Listener):
    """Receives what `run_study` does; `training` is for the study's workers, or for the confirmation runs it gets."""

    def opened(self, study: "Study", missing: int) -> None:
        """The study is open, and this many trials are missing; if none are, no workers are started."""

    def workers_failed(self, errors: Mapping[str, Path]) -> None:
        """Workers have ended with errors, each with the log that has more."""

    def left_to_others(self, trials: int) -> None:
        """Other processes are training this many trials, and no more are to be started."""

    def confirming(self, study: "Study", trial: int) -> None:
        """The configuration of this trial, the untuned row and the baseline are trained with confirmation seeds."""


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
        listener: Receives the events.

    Raises:
        RdcError: Data, weights or region maps are missing or damaged.
        UsageError: Another study has this name, or a package is missing.
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
    codes = _train(study, request, executor, listener, missing, workers) if missing else ()
    unconfirmed = _confirm(study, request, executor, listener) if confirm else []
    result = report_study(study, request.catalogue)
    left = asked - result.report.summary.finished
    if left > 0 and executor.waits and not any(codes):
        # The workers ended because there was no trial for them.
        listener.left_to_others(left)
    return StudyResult(result.report, result.files, complete=not (any(codes) or unconfirmed))


def show_study(study: str, settings: Settings, *, storage: str | None = None, name: str | None = None) -> StudyResult:
    """Report the current state of a study, ignoring later changes of its file; nothing is trained.

    Args:
        study: Name of the study, or path of its YAML file.
        settings: Profile and runs folder.
        storage: URL of the storage of the trials, if it needs a password.
        name: Name of the study's folder; None: `STUDY-PROFILE`.

    Raises:
        UsageError: The study has not been started, or a package is missing.
        UnavailableError: The storage cannot be reached.
    """
    folder_name = study_name(find_study(study), settings, name)
    require_extra()
    from rdc_sweeps.tuning.study import load_study

    return report_study(load_study(settings.root, folder_name, storage), Catalogue(experiments_folder(settings)))


def report_study(study: "Study", catalogue: Catalogue) -> StudyResult:
    """Draw the figures of a study, write its HTML report and return its result; nothing is trained."""
    from rdc_sweeps.tuning.figures import draw_figures, write_figures
    from rdc_sweeps.tuning.study_html import write_html
    from rdc_sweeps.tuning.study_report import build_study_report

    report = build_study_report(study, catalogue)
    if not os.access(report.folder, os.W_OK):
        # Who may only read the runs folder sees the report, without files.
        return StudyResult(report, ())
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
) -> Sequence[int]:
    """Work on the missing trials; returns the exit codes of the workers that have ended."""
    from rdc_sweeps.tuning.study_workers import work_in_pool

    if study.url.secrets and not executor.waits:
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

    start_time = time.time()
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
        listener.workers_failed(_last_errors(study.folder.workers, start_time))
    return codes


def _last_errors(folder: Path, since: float) -> dict[str, Path]:
    """The last error in each log written since a given time; each distinct error once."""
    logs = [path for path in folder.glob("*.log") if path.stat().st_mtime >= since]
    found: dict[str, Path] = {}
    for log in sorted(logs, key=lambda path: path.stat().st_mtime):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        errors = [line.partition(" ERROR ")[2] for line in lines if " ERROR " in line]
        if errors:
            found[errors[-1]] = log
    return found


def _confirm(study: "Study", request: StudyRequest, executor: Executor, listener: StudyListener) -> list[str]:
    """Train the choice, the untuned row and their baseline with the confirmation seeds; returns runs not done."""
    from rdc_sweeps.tuning.study_report import chosen_runs
    from rdc_sweeps.tuning.summary import summarise

    summary = summarise(study)
    runs = chosen_runs(study.tuned, summary, request.catalogue)
    if summary.finished < summary.asked or summary.best is None or not runs:
        return []
    listener.confirming(study, summary.best.number)
    return executor.execute(partial(plan, runs, request.settings.root, data=DataComparison(request.settings)))
