"""Hyper-parameter studies."""

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rdc_sweeps.settings import load_settings
from rdc_sweeps.specs.document import assignments

if TYPE_CHECKING:
    from rdc_sweeps.tuning.study_request import StudyRequest
    from rdc_sweeps.tuning.study_run import StudyListener, StudyResult


def tune(
    study: str = "covariance",
    *,
    trials: int | None = None,
    workers: int | None = None,
    storage: str | None = None,
    table: str | None = None,
    row: str | None = None,
    name: str | None = None,
    seeds: Sequence[int] | None = None,
    changes: Mapping[str, Any] | Sequence[str] = (),
    confirm: bool = True,
    listener: "StudyListener | None" = None,
    **settings: Any,
) -> "StudyResult":
    """Tune a row by trials on held-out images, and measure the best configuration on the test images.

    A study of the same name is continued: finished trials stay, interrupted ones resume from their checkpoints.

    Args:
        study: Name of a study, or the path of its YAML file.
        trials: Total number of trials; None: the file's.
        workers: Trials that run at once; None: as many as suit the machine or the node profile.
        storage: URL of the storage of the trials; None: a journal in the study's folder.
        table: Tune a row of this table; None: the study's.
        row: Tune this row; None: the study's.
        name: Name of the study's folder; None: `STUDY-PROFILE`.
        seeds: Seeds of each trial; None: the file's.
        changes: Fields that differ in every trial, as for `load_table`.
        confirm: Train the best configuration with the confirmation seeds once all trials are finished.
        listener: Receives the events.
        **settings: See `load_table`.

    Returns:
        The trials, the best of them, and its confirmation. With Slurm, the state at the time of submission.

    Raises:
        UsageError: A name does not exist, another study has this name, or a package is missing.
        SpecError: All problems of the study.
        RdcError: Data, weights or region maps are missing or damaged.
        UnavailableError: The storage or Slurm does not answer.
    """
    from rdc_sweeps.tuning.study_request import request_study

    request = request_study(
        study,
        load_settings(**settings),
        trials=trials,
        storage=storage,
        table=table,
        row=row,
        name=name,
        seeds=seeds,
        changes=assignments(changes),
    )
    return tune_requested(request, workers=workers, confirm=confirm, listener=listener)


def tune_requested(
    request: "StudyRequest",
    *,
    workers: int | None = None,
    confirm: bool = True,
    listener: "StudyListener | None" = None,
) -> "StudyResult":
    """Like `tune`, with a request from `rdc_sweeps.tuning.study_request`."""
    from rdc_sweeps.dispatch.executors import executor_for
    from rdc_sweeps.notifications.watching import SweepWatch
    from rdc_sweeps.tuning.study_run import run_study

    command = shlex.join(["rdc-sweep", "tune", request.tuned.spec.study, "--study", request.name, "--report"])
    waits = executor_for(request.settings).waits
    with SweepWatch(request.settings, f"study {request.name}", command, study=request.name, waits=waits):
        return run_study(request, workers=workers, confirm=confirm, listener=listener)
