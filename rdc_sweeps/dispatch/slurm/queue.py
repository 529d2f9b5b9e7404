"""Slurm's view of the runs in a folder: which have a job, and how the jobs of the others ended."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rdc_sweeps.dispatch.slurm.commands import call
from rdc_sweeps.dispatch.slurm.submissions import Submission, SubmissionDirectory, submissions
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.runs.directory import RunDirectory

AT_ONCE = 200
"""Maximum number of names or jobs in one call of a command."""


@dataclass(frozen=True)
class Job:
    """A job that is waiting, running or ending."""

    job_id: str
    """`123_4` for a task of an array."""
    state: str
    """Slurm's name of the state, such as PENDING."""
    reason: str
    """Why it is pending, such as Resources."""
    submission: str


@dataclass(frozen=True)
class LostJob:
    """The last job of a run that is not done and no longer has a job in Slurm."""

    job_id: str | None
    """Slurm's job id; None if the job never reached Slurm."""
    state: str | None
    """How the job ended, such as TIMEOUT; None if Slurm has no accounting."""
    submission: str


def queued(root: Path) -> dict[str, Job]:
    """The jobs that Slurm has for runs, by run id.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    found: dict[str, Job] = {}
    unfinished = {one.id: one for one in submissions(root) if not one.read().ended}
    for submission_id, jobs in jobs_by_submission(unfinished).items():
        run_ids = unfinished[submission_id].run_ids()
        for task, job in jobs.items():
            if task is not None and task < len(run_ids) and _is_preferred(job, found.get(run_ids[task])):
                found[run_ids[task]] = job
    return found


def _is_preferred(job: Job, other: Job | None) -> bool:
    return other is None or (job.state == "RUNNING" and other.state != "RUNNING")


def jobs_by_submission(submission_ids: Iterable[str]) -> dict[str, dict[int | None, Job]]:
    """The jobs of each submission by array task (None: no array); submissions without jobs are left out.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    names = {f"rdc-{one}": one for one in submission_ids}
    found: dict[str, dict[int | None, Job]] = {}
    for some in _chunks(sorted(names)):
        command = ["squeue", "--noheader", "--array", f"--name={','.join(some)}", "--format=%F|%K|%T|%r|%j"]
        for line in call(command).splitlines():
            fields = line.strip().split("|")
            if len(fields) != 5 or fields[4] not in names:
                raise UnavailableError(f"squeue: cannot parse the answer {line!r}")
            array, task, state, reason, name = fields
            number = int(task) if task.isdecimal() else None
            job_id = array if number is None else f"{array}_{number}"
            found.setdefault(names[name], {})[number] = Job(job_id, state, reason, names[name])
    return found


def cancel(jobs: Iterable[Job]) -> None:
    """Cancel pending and running jobs; of an array, only the given tasks.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    for some in _chunks([job.job_id for job in jobs]):
        call(["scancel", *some])


def lost_jobs(root: Path, run_ids: Iterable[str]) -> dict[str, LostJob]:
    """The last job that was ever submitted for each of these runs.

    Args:
        root: The runs folder.
        run_ids: Runs that have not ended and have no job.
    """
    wanted = set(run_ids)
    last: dict[str, tuple[Submission, int]] = {}
    for directory in submissions(root) if wanted else ():
        submission = directory.read()
        if submission.kind == "runs":
            tasks = enumerate(directory.run_ids())
            last |= {run_id: (submission, task) for task, run_id in tasks if run_id in wanted}
    jobs = {run_id: f"{one.job}_{task}" if one.job else None for run_id, (one, task) in last.items()}
    states = final_states(job for job in jobs.values() if job)
    return {
        run_id: LostJob(job, _unprepared(root, run_id, last[run_id][0]) or states.get(job or ""), last[run_id][0].id)
        for run_id, job in jobs.items()
    }


def _unprepared(root: Path, run_id: str, submission: Submission) -> str | None:
    """Why a run never started if its preparation job failed: Slurm then drops the jobs that depend on it."""
    if submission.after is None or (RunDirectory(root, run_id).folder / "status.json").exists():
        return None
    preparation = SubmissionDirectory(root, submission.after)
    return (
        None
        if preparation.prepared.exists()
        else f"no region maps: the job that computes them failed, see {preparation.log}"
    )


def final_states(job_ids: Iterable[str]) -> dict[str, str]:
    """How jobs ended, from Slurm's accounting; jobs that it does not know are left out."""
    states: dict[str, str] = {}
    for some in _chunks(sorted({job_id.partition("_")[0] for job_id in job_ids})):
        try:
            text = call(
                ["sacct", "--format=JobID,State,NodeList", "--parsable2", f"--jobs={','.join(some)}"], attempts=1
            )
        except UnavailableError:
            # Many clusters have no accounting.
            continue
        from submitit.slurm.slurm import SlurmInfoWatcher

        # "CANCELLED by 1000" is CANCELLED.
        states |= {job: info["State"].split()[0] for job, info in SlurmInfoWatcher(0).read_info(text).items()}
    return states


def _chunks(items: list[str]) -> Iterable[list[str]]:
    return (items[first : first + AT_ONCE] for first in range(0, len(items), AT_ONCE))
