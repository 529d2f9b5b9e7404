"""Submits the missing runs, none of them twice, even if several processes submit or one is killed."""

import re
import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rdc_sweeps.dispatch.plan import Planned, prepare_directory
from rdc_sweeps.dispatch.slurm.commands import call
from rdc_sweeps.dispatch.slurm.nodes import NodeProfile, node_profile
from rdc_sweeps.dispatch.slurm.queue import Job, LostJob, cancel, jobs_by_submission, lost_jobs, queued
from rdc_sweeps.dispatch.slurm.sbatch import JobFile, JobFiles, job_file_text
from rdc_sweeps.dispatch.slurm.submissions import Submission, SubmissionDirectory, new_id, submission_lock, submissions
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.files import write_atomically, write_json
from rdc_sweeps.processes.environment import user_name
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.requests import request_run, request_stop, restore_failure
from rdc_sweeps.runs.states import STARTABLE_STATES
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec, run_id

DEFAULT_ARRAY = 1001
"""Slurm's default limit of tasks in an array."""


@dataclass(frozen=True)
class Submitted:
    """The result of a submission: how every run was planned, and the arrays that Slurm accepted."""

    planned: list[Planned]
    preparation: Submission | None
    arrays: list[Submission]


def with_queue(planned: Sequence[Planned], root: Path) -> list[Planned]:
    """The plan with runs that have a Slurm job skipped, and how the jobs of the others ended.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    jobs = queued(root)
    gone = lost_jobs(root, [one.run.id for one in planned if one.state in STARTABLE_STATES and one.run.id not in jobs])
    return [_with_queue(one, jobs.get(one.run.id), gone.get(one.run.id)) for one in planned]


def _with_queue(one: Planned, job: Job | None, gone: LostJob | None) -> Planned:
    if job and one.state != "done":
        return replace(one, action="skip", reason=_describe(job))
    if gone and one.action != "skip":
        how = f" ({gone.state})" if gone.state else ""
        return replace(one, reason=f"{one.reason}; Slurm job {gone.job_id or gone.submission} has ended{how}")
    return one


def _describe(job: Job) -> str:
    reason = f", {job.reason}" if job.state == "PENDING" and job.reason not in {"", "None"} else ""
    return f"Slurm job {job.job_id} ({job.state}{reason})"


def worker_settings(settings: Settings, profile: NodeProfile) -> Settings:
    """The settings of workers on a node: absolute folders, and those that the node profile overrides."""
    changes = {name: _absolute(value) for name, value in settings if isinstance(value, Path)}
    device, hook = "cuda" if profile.gpu else "cpu", settings.notify.webhook_file
    return settings.model_copy(
        update={
            **changes,
            "dataset_roots": {name: _absolute(folder) for name, folder in settings.dataset_roots.items()},
            "notify": settings.notify.model_copy(update={"webhook_file": hook and _absolute(hook)}),
            "device": device if settings.device == "auto" else settings.device,
            "threads": profile.threads or settings.threads or profile.cpus,
            "heartbeat": profile.heartbeat,
            "wandb": "offline" if profile.offline and settings.wandb != "disabled" else settings.wandb,
            # Workers do not need them: the job file has what they need.
            "nodes": {},
        }
    )


def _absolute(path: Path) -> Path:
    """The path without resolving links, which may lead elsewhere on another machine."""
    return path.expanduser().absolute()


def drafts(
    runs: int, table: str, settings: Settings, *, array: int = DEFAULT_ARRAY, after: Submission | None = None
) -> list[Submission]:
    """The records of the submissions of `runs` runs, split by the limit of tasks in an array."""
    return [_draft("runs", min(array, runs - first), table, settings, after) for first in range(0, runs, array)]


def _draft(kind: str, runs: int, table: str, settings: Settings, after: Submission | None = None) -> Submission:
    return Submission.model_validate(
        {
            "id": new_id(),
            "kind": kind,
            "time": time.time(),
            "host": socket.gethostname(),
            "user": user_name(),
            "table": table,
            "node": settings.node,
            "runs": runs,
            "after": after.id if after else None,
        }
    )


def submit(plan: Callable[[], Sequence[Planned]], settings: Settings, *, prepare: bool, rerun: bool) -> Submitted:
    """Submit the runs of a plan that have no Slurm job; returns immediately.

    Args:
        plan: Inspects the run directories; called while no other process can submit.
        settings: Settings of this command.
        prepare: First submit a job that computes missing region maps; the runs wait for it.
        rerun: Set old directories aside.

    Raises:
        UnavailableError: Slurm does not answer or refuses; arrays accepted before stay submitted.
    """
    profile = node_profile(settings.node, settings.nodes)
    root = settings.root
    with submission_lock(root) as lock:
        reconcile(root)
        planned = with_queue(plan(), root)
        todo = [one for one in planned if one.action != "skip"]
        if not todo:
            return Submitted(planned, None, [])
        table = todo[0].run.table.table
        on_node = worker_settings(settings, profile)
        # It must exist, because containers mount it.
        on_node.cache_root.mkdir(parents=True, exist_ok=True)
        preparation = None
        if prepare:
            draft = _draft("preparation", len(todo), table, settings)
            preparation = _submit_one(JobFile(draft, profile, on_node), todo, lock, rerun=rerun)
            rerun = False  # the old directories have been set aside
        arrays: list[Submission] = []
        try:
            for draft in drafts(len(todo), table, settings, array=largest_array(), after=preparation):
                first = sum(one.runs for one in arrays)
                batch = JobFile(draft, profile, on_node, after=preparation.job if preparation else None)
                arrays.append(_submit_one(batch, todo[first : first + draft.runs], lock, rerun=rerun))
        except UnavailableError as error:
            if not arrays:
                _withdraw(preparation)
            accepted = sum(one.runs for one in arrays)
            raise UnavailableError(f"{error}\n{accepted} of {len(todo)} runs were submitted") from error
    return Submitted(planned, preparation, arrays)


def submit_command(
    command: Sequence[str], times: int, settings: Settings, *, about: str, needs: Sequence[RunSpec] = ()
) -> tuple[Submission | None, Submission]:
    """Submit an array of identical tasks that run a command; returns immediately.

    Args:
        command: The words after `rdc-sweep`; `--settings FILE` is added.
        times: Number of tasks.
        settings: Settings of this command.
        about: What the tasks work on; recorded in place of a table.
        needs: Runs whose missing region maps another job computes first; none if nothing is missing.

    Returns:
        The submissions of that other job, if any, and of the command.

    Raises:
        UnavailableError: Slurm does not answer or refuses.
    """
    profile = node_profile(settings.node, settings.nodes)
    on_node = worker_settings(settings, profile)
    with submission_lock(settings.root) as lock:
        reconcile(settings.root)
        on_node.cache_root.mkdir(parents=True, exist_ok=True)
        preparation = None
        if needs:
            for spec in needs:
                request_run(RunDirectory(settings.root, run_id(spec)), spec)
            draft = _draft("preparation", len(needs), about, settings)
            preparation = _send(JobFile(draft, profile, on_node), [run_id(spec) for spec in needs], lock)
        after = preparation.job if preparation else None
        batch = JobFile(_draft("command", times, about, settings, preparation), profile, on_node, after, tuple(command))
        try:
            return preparation, _send(batch, [], lock)
        except UnavailableError:
            _withdraw(preparation)
            raise


def queued_workers(root: Path, about: str) -> list[Job]:
    """The pending and running tasks of commands that were submitted with this `about`.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    records = ((one.id, one.read()) for one in submissions(root))
    ids = [name for name, one in records if one.kind == "command" and one.table == about and not one.ended]
    return [job for jobs in jobs_by_submission(ids).values() for job in jobs.values()]


def _withdraw(preparation: Submission | None) -> None:
    if preparation and preparation.job:
        with suppress(UnavailableError):
            cancel([Job(preparation.job, "", "", preparation.id)])


def _submit_one(batch: JobFile, runs: Sequence[Planned], lock: int, *, rerun: bool) -> Submission:
    """Submit runs; if Slurm refuses, restore their directories."""
    root = batch.settings.root
    before = {one.run.id: RunDirectory(root, one.run.id) for one in runs}
    # What damaged records said is lost either way; they are moved aside.
    whole = {} if rerun else {one.run.id: before[one.run.id] for one in runs if one.state != "damaged"}
    failures = {name: run.failure() for name, run in whole.items()}
    stops = {name: run.stopped() for name, run in whole.items()}
    job_file_text(batch)  # raises before anything is changed
    for one in runs:
        prepare_directory(one, root, rerun=rerun)
    try:
        return _send(batch, list(before), lock)
    except UnavailableError:
        for name, run in before.items():
            if failure := failures.get(name):
                restore_failure(run, failure)
            if stopped := stops.get(name):
                request_stop(run, stopped)
        raise


def _send(batch: JobFile, run_ids: Sequence[str], lock: int) -> Submission:
    """Record, `sbatch`, record the job id: after a kill in between, the next submission finds the job by its name.

    Raises:
        UnavailableError: Slurm refuses; the record is removed.
    """
    directory, submission = batch.directory, batch.submission
    text = job_file_text(batch)
    directory.log.mkdir(parents=True)
    write_json(directory.settings, batch.settings.model_dump(mode="json"))
    write_atomically(directory.runs, lambda file: file.write("".join(f"{one}\n" for one in run_ids).encode()))
    write_atomically(directory.batch, lambda file: file.write(text.encode()))
    directory.write(submission)
    try:
        command = JobFiles(directory.log).command(directory.batch)
        job = JobFiles.job_id(call(command, attempts=1, descriptors=[lock]))
    except UnavailableError:
        jobs = jobs_by_submission([submission.id]).get(submission.id)
        if not jobs:
            # The submission was refused; otherwise, only the answer was lost.
            shutil.rmtree(directory.folder)
            raise
        return _complete(directory, submission, jobs)
    submission = submission.model_copy(update={"job": job})
    directory.write(submission)
    return submission


def _complete(directory: SubmissionDirectory, submission: Submission, jobs: Mapping[int | None, Job]) -> Submission:
    """Record the job id of a submission whose process was killed before it could do so."""
    job = next(iter(jobs.values())).job_id.partition("_")[0]
    submission = submission.model_copy(update={"job": job})
    directory.write(submission)
    return submission


def reconcile(root: Path) -> None:
    """Update the records from Slurm: job ids that were not recorded, and submissions that have ended.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    unfinished = {one.id: one for one in submissions(root) if not one.read().ended}
    jobs = jobs_by_submission(unfinished)
    for submission_id, directory in unfinished.items():
        submission = directory.read()
        if submission_id not in jobs:
            directory.write(submission.model_copy(update={"ended": True}))
        elif submission.job is None:
            _complete(directory, submission, jobs[submission_id])


def largest_array() -> int:
    """The cluster's limit of tasks in an array.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", call(["scontrol", "show", "config"]), re.MULTILINE)
    return max(1, int(found.group(1))) if found else DEFAULT_ARRAY
