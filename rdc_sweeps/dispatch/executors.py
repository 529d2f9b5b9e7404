"""Executors: where planned runs are trained, on this machine or by Slurm jobs."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from rdc_sweeps.dispatch.local import Slots, run_locally, slots
from rdc_sweeps.dispatch.plan import STOPPED, Planned, announced, prepare_directory
from rdc_sweeps.dispatch.preparation import needs_building, prepare
from rdc_sweeps.dispatch.slurm.nodes import NodeProfile, node_profile
from rdc_sweeps.errors import DamagedError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.states import RunState
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Run

if TYPE_CHECKING:
    from rdc_sweeps.dispatch.region_maps import ReportBuild
    from rdc_sweeps.dispatch.slurm.submitter import Submitted

WORKERS_AT_ONCE = 8
"""Default number of Slurm workers; with more trials at once, the sampler knows fewer results when it draws one."""


@dataclass(frozen=True)
class Start:
    """What an executor starts on this machine."""

    runs: Sequence[Run]
    """The runs that will be trained; empty for workers, which choose their runs themselves."""
    slots: Slots
    gpus: int
    """Number of GPUs to use; 0 for the CPU."""


class Listener:
    """Receives the events of an executor, in the order of these methods; override those that matter."""

    def planned(self, planned: Sequence[Planned]) -> None:
        """These runs will be trained or skipped on this machine."""

    @contextmanager
    def preparing(self) -> Iterator["ReportBuild"]:
        """While the context is open, inputs of the runs are checked and region maps are built."""
        yield lambda title, done, total: None

    @contextmanager
    def training(self, start: Start) -> Iterator[Callable[[], None]]:
        """While the context is open, processes of this machine train; the yielded function is called repeatedly."""
        yield lambda: None

    def ended(self, trained: Sequence[Planned], unfinished: Sequence[Planned]) -> None:
        """Training on this machine has ended; the unfinished runs are among those trained."""

    def submitted(self, submitted: "Submitted", profile: NodeProfile, at_once: int) -> None:
        """Slurm has accepted jobs, of which `at_once` may run at the same time."""

    def workers_submitted(self, count: int, job: str | None, preparation: str | None) -> None:
        """Slurm has accepted workers as an array job, and perhaps a job that builds region maps first."""

    def workers_found(self, running: int, waiting: int) -> None:
        """Slurm already has such workers; none were submitted."""


@dataclass(frozen=True)
class Workers:
    """Identical processes that share work among themselves, such as the workers of a study.

    Attributes:
        about: What they work on, such as `study covariance-demo`; Slurm has at most one array of workers for it.
        runs: Runs whose inputs the workers need.
        useful: Number of workers that have work.
        wanted: Number of workers that the user requests; None: as many as suit the machine or the node profile.
        work_here: Works with several processes on this machine until there is nothing left to do; returns the exit
            codes. It must call the function that it is given (a `Listener.training` context's) now and then.
        command: Words after `rdc-sweep` that start one worker elsewhere; `--settings FILE` is added.
    """

    about: str
    runs: Sequence[Run]
    useful: int
    wanted: int | None
    work_here: Callable[[Start, Settings, Callable[[], None]], Sequence[int]]
    command: tuple[str, ...]


class Executor(ABC):
    """Trains planned runs somewhere; `executor_for` chooses the class by the settings.

    A dry run calls `inspect` and shows `job_files`; `execute` trains the runs, or submits jobs that will (see `waits`),
    and tells the listener what it does; `start_workers` does the same with the workers of a study.
    """

    waits: ClassVar[bool]
    """Whether `execute` and `start_workers` return only after the work has ended."""

    def __init__(self, settings: Settings, listener: Listener | None = None) -> None:
        self.settings = settings
        self.listener = listener or Listener()

    @property
    @abstractmethod
    def worker_settings(self) -> Settings:
        """The settings of the processes that train."""

    @abstractmethod
    def inspect(self, planned: Sequence[Planned]) -> list[Planned]:
        """The plan with what this executor knows about its runs, such as jobs that wait in a queue.

        Raises:
            UnavailableError: The scheduler does not answer.
        """

    @abstractmethod
    def job_files(self, planned: Sequence[Planned]) -> list[str]:
        """The job files that `execute` would submit; nothing is written anywhere."""

    @abstractmethod
    def execute(self, plan: Callable[[], Sequence[Planned]], *, rerun: bool = False) -> list[str]:
        """Train or submit what a plan has to do.

        Args:
            plan: Inspects the run directories; may be called more than once.
            rerun: Set old directories aside.

        Returns:
            Ids of the runs that failed, or that are not done although nobody works on them any more.

        Raises:
            RdcError: Inputs are missing or damaged.
            UnavailableError: The scheduler does not answer or refuses.
        """

    @abstractmethod
    def start_workers(self, workers: Workers) -> Sequence[int]:
        """Run workers to their end, or submit them; returns the exit codes of those that have ended.

        Raises:
            RdcError: Inputs are missing or damaged.
            UnavailableError: The scheduler does not answer or refuses.
        """


class LocalExecutor(Executor):
    """Trains on the cores or GPUs of this machine, several runs at once."""

    waits = True

    @property
    def worker_settings(self) -> Settings:
        """The settings of the processes that train."""
        return self.settings

    def inspect(self, planned: Sequence[Planned]) -> list[Planned]:
        """The unchanged plan: there is no queue."""
        return list(planned)

    def job_files(self, planned: Sequence[Planned]) -> list[str]:
        """None: nothing is submitted."""
        return []

    def execute(self, plan: Callable[[], Sequence[Planned]], *, rerun: bool = False) -> list[str]:
        """Train what a plan has to do; see `Executor.execute`."""
        planned = plan()
        self.listener.planned(planned)
        todo = [one for one in planned if one.action != "skip"]
        failed_before = _failed_before(planned)
        if not todo:
            return failed_before
        runs, root = [one.run for one in todo], self.settings.root
        with announced(todo, root) as now:
            gpus = self._prepare(runs)
        for one in now:
            prepare_directory(one, root, rerun=rerun)
        start = Start(runs, slots(len(runs), self.settings, gpus), gpus)
        with self.listener.training(start) as watch:
            run_locally([run.id for run in runs], self.settings, start.slots, gpus=gpus, watch=watch)
        unfinished = [one for one in todo if not _is_done(RunDirectory(root, one.run.id))]
        self.listener.ended(todo, unfinished)
        # Another process may have begun to train some meanwhile; those are its own to finish.
        return failed_before + [one.run.id for one in unfinished if RunDirectory(root, one.run.id).state() != "running"]

    def start_workers(self, workers: Workers) -> Sequence[int]:
        """Run workers to their end; see `Executor.start_workers`."""
        gpus = self._prepare(workers.runs)
        chosen = self.settings.model_copy(update={"max_parallel": workers.wanted or self.settings.max_parallel})
        start = Start((), slots(workers.useful, chosen, gpus), gpus)
        with self.listener.training(start) as watch:
            settings = self.settings.model_copy(update={"threads": start.slots.threads})
            return workers.work_here(start, settings, watch)

    def _prepare(self, runs: Sequence[Run]) -> int:
        with self.listener.preparing() as report:
            return prepare(runs, self.settings, report)


class SlurmExecutor(Executor):
    """Submits runs as arrays of Slurm jobs and returns immediately."""

    waits = False

    @property
    def profile(self) -> NodeProfile:
        """The node profile of the settings.

        Raises:
            UsageError: There is no such profile, or a value does not fit.
        """
        return node_profile(self.settings.node, self.settings.nodes)

    @property
    def worker_settings(self) -> Settings:
        """The settings of the processes that train."""
        from rdc_sweeps.dispatch.slurm.submitter import worker_settings

        return worker_settings(self.settings, self.profile)

    def inspect(self, planned: Sequence[Planned]) -> list[Planned]:
        """The plan without the runs that have a Slurm job; see `Executor.inspect`."""
        from rdc_sweeps.dispatch.slurm.submitter import with_queue

        return with_queue(planned, self.settings.root)

    def job_files(self, planned: Sequence[Planned]) -> list[str]:
        """The job files that `execute` would submit; nothing is written anywhere."""
        from rdc_sweeps.dispatch.slurm.sbatch import JobFile, job_file_text
        from rdc_sweeps.dispatch.slurm.submitter import drafts

        todo = [one for one in planned if one.action != "skip"]
        table = todo[0].run.table.table if todo else ""
        return [
            job_file_text(JobFile(draft, self.profile, self.worker_settings))
            for draft in drafts(len(todo), table, self.settings)
        ]

    def execute(self, plan: Callable[[], Sequence[Planned]], *, rerun: bool = False) -> list[str]:
        """Submit what a plan has to do; see `Executor.execute`. Returns the ids of runs that failed before."""
        from rdc_sweeps.dispatch.slurm.submitter import largest_array, submit

        profile = self.profile
        first = self.inspect(plan())
        todo = [one.run for one in first if one.action != "skip"]
        if todo:
            # Fails immediately where there is no Slurm, before the long check of the data.
            largest_array()
        build = bool(todo) and self._needs_building(todo)
        before = {one.run.id: one.state for one in first}

        def again() -> list[Planned]:
            return [_unless_stopped(one, before.get(one.run.id)) for one in plan()]

        submitted = submit(again, self.settings, prepare=build, rerun=rerun)
        self.listener.submitted(submitted, profile, self._at_once)
        return _failed_before(submitted.planned)

    def start_workers(self, workers: Workers) -> Sequence[int]:
        """Submit workers unless there are some in Slurm; see `Executor.start_workers`. Returns no exit codes."""
        from rdc_sweeps.dispatch.slurm.submitter import queued_workers, submit_command

        there = queued_workers(self.settings.root, workers.about)
        if there:
            running = sum(job.state == "RUNNING" for job in there)
            self.listener.workers_found(running, len(there) - running)
            return []
        build = bool(workers.runs) and self._needs_building(workers.runs)
        count = min(workers.useful, workers.wanted or min(WORKERS_AT_ONCE, self._at_once))
        preparation, submission = submit_command(
            workers.command,
            count,
            self.settings,
            about=workers.about,
            needs=[run.spec for run in workers.runs] if build else (),
        )
        self.listener.workers_submitted(count, submission.job, preparation.job if preparation else None)
        return []

    @property
    def _at_once(self) -> int:
        return self.settings.max_parallel or self.profile.array_parallelism

    def _needs_building(self, runs: Sequence[Run]) -> bool:
        with self.listener.preparing() as report:
            return needs_building(runs, self.settings, report)


EXECUTORS: dict[str, type[Executor]] = {"local": LocalExecutor, "slurm": SlurmExecutor}
"""Executors by the value of the setting `executor`."""


def executor_for(settings: Settings, listener: Listener | None = None) -> Executor:
    """The executor that the settings name."""
    return EXECUTORS[settings.executor](settings, listener)


def _failed_before(planned: Sequence[Planned]) -> list[str]:
    return [one.run.id for one in planned if one.needs_decision]


def _unless_stopped(one: Planned, before: RunState | None) -> Planned:
    """The run as planned, or skipped if it was stopped since its state was `before`."""
    if one.state in STOPPED and before not in STOPPED:
        return replace(one, action="skip", reason=f"{one.state} meanwhile")
    return one


def _is_done(directory: RunDirectory) -> bool:
    try:
        return directory.result() is not None
    except DamagedError:
        # A run with a damaged result is not done.
        return False
