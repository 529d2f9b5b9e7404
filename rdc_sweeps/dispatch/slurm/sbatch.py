"""Job files: the input of `sbatch`."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdc_sweeps.dispatch.slurm.nodes import Container, NodeProfile
from rdc_sweeps.dispatch.slurm.submissions import Submission, SubmissionDirectory
from rdc_sweeps.errors import UnavailableError, UsageError
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.settings import Settings

try:
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedSubmissionError
except ImportError as error:
    raise UnavailableError("Slurm jobs need submitit: pip install -e '.[slurm]' in the checkout") from error

FINISH = Path(__file__).with_name("finish.sh")

MODULE = ("-P", "-m", "rdc_sweeps")

NOTIFY_SECONDS = 120
"""How long a job that has ended may take for its notifications."""


@dataclass(frozen=True)
class JobFile:
    """Everything that a job file is made from."""

    submission: Submission
    profile: NodeProfile
    settings: Settings
    """Settings of the workers; all folders are absolute."""
    after: str | None = None
    """Job that must succeed first."""
    command: tuple[str, ...] = ()
    """Words after `rdc-sweep` in every task of a submission of kind `command`."""

    @property
    def at_once(self) -> int:
        """Maximum number of the submission's runs at the same time."""
        return min(self.submission.runs, self.settings.max_parallel or self.profile.array_parallelism)

    @property
    def directory(self) -> SubmissionDirectory:
        """The directory of the submission."""
        return SubmissionDirectory(self.settings.root, self.submission.id)


class JobFiles(SlurmExecutor):
    """Submitit's writer of job files, with our own command in place of its pickles."""

    @classmethod
    def affinity(cls) -> int:
        """Available everywhere: a dry run shows job files without Slurm; that it is missing is reported when called."""
        return 2

    def text(self, command: str) -> str:
        """The job file that runs a shell command under `srun`."""
        return self._make_submission_file_text(command, uid="")

    def command(self, path: Path) -> list[str]:
        """The command that submits a job file."""
        return self._make_submission_command(path)

    @classmethod
    def job_id(cls, output: str) -> str:
        """The job id in the output of that command.

        Raises:
            UnavailableError: There is none in it.
        """
        try:
            return cls._get_job_id_from_submission_command(output)
        except FailedSubmissionError as error:
            raise UnavailableError(f"sbatch: cannot parse the answer {output!r}") from error


def job_file_text(batch: JobFile) -> str:
    """The job file: Slurm options, the user's setup, the worker under `srun`, and the handling of its exit code.

    Raises:
        UsageError: A folder whose name cannot be written in a job file, or GPUs that the profile cannot provide.
    """
    files = JobFiles(_checked(batch.directory.log))
    files.update_parameters(**_parameters(batch))
    if batch.submission.kind != "preparation":
        files.parameters["map_count"] = batch.submission.runs
    return files.text(_command(batch)) + "\n"


def _parameters(batch: JobFile) -> dict[str, Any]:
    profile, submission = batch.profile, batch.submission
    gpus = (
        profile.gpus(batch.settings.gpus_per_run) if submission.kind != "preparation" else int(profile.gpu is not None)
    )
    cpus = profile.cpus * max(1, gpus)
    further: dict[str, Any] = {"requeue": True, **{name: value for name, value in profile.sbatch.items() if value}}
    if batch.after:
        further |= {"dependency": f"afterok:{batch.after}", "kill-on-invalid-dep": "yes"}
    if profile.reservation:
        further["reservation"] = profile.reservation
    if gpus:
        further["gres"] = f"gpu:{gpus}" if profile.gpu == "any" else f"gpu:{profile.gpu}:{gpus}"
    return {
        "job_name": submission.name,
        "comment": f"rdc-sweep {submission.id}",
        "partition": profile.partition,
        "account": profile.account,
        "qos": profile.qos,
        "constraint": profile.constraint,
        "exclusive": profile.exclusive or None,
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": cpus,
        "mem": profile.total_memory(gpus),
        "time": profile.time_limit,
        "signal_delay_s": profile.signal_seconds,
        "array_parallelism": batch.at_once,
        "wckey": None,
        "stderr_to_stdout": True,
        "additional_parameters": further,
        "setup": [*profile.setup, *_setup(batch)],
        # Newer versions of srun do not inherit the number of cores from sbatch.
        "srun_args": [
            "--open-mode=append",
            f"--cpus-per-task={cpus}",
            *_srun_container(profile.container, batch.settings),
        ],
        "teardown": _teardown(batch),
    }


def _setup(batch: JobFile) -> list[str]:
    codes = " ".join(f"{code.name}={code.value}" for code in WorkerExit)
    lines = [codes, "", *FINISH.read_text(encoding="utf-8").splitlines(), ""]
    lines.append(f"export RDC_SWEEP_ROOT={shlex.quote(_checked(batch.settings.root))}")
    if batch.submission.kind == "runs":
        lines.append(f'RUN_ID=$(sed -n "$((SLURM_ARRAY_TASK_ID + 1))p" {shlex.quote(str(batch.directory.runs))})')
    lines.append("attempts_before=$(attempts)")
    if batch.submission.kind == "runs":
        lines.append('[ -n "$RUN_ID" ] || finish "$RETRY"')
    return lines


def _teardown(batch: JobFile) -> list[str]:
    if not batch.settings.notify.active or batch.submission.kind == "preparation":
        return ["finish $?"]
    told = f"{shlex.join(_start(batch))} notify --settings {shlex.quote(str(batch.directory.settings))}"
    # Of a worker that Slurm starts again there is nothing to tell.
    return [
        "code=$?",
        f'case $code in "$DONE" | "$FAILED" | "$STOPPED" | "$PARKED") timeout {NOTIFY_SECONDS} {told} ;; esac',
        'finish "$code"',
    ]


def _start(batch: JobFile) -> list[str]:
    """The words that start this package on a node."""
    profile = batch.profile
    python = shlex.split(profile.python) if profile.python else ["python" if profile.container else sys.executable]
    return [*_apptainer(profile, batch.settings), *python, *MODULE]


def _command(batch: JobFile) -> str:
    directory, start = batch.directory, _start(batch)
    settings = f"--settings {shlex.quote(str(directory.settings))}"
    if batch.submission.kind == "preparation":
        return f"{shlex.join(start)} prepare {shlex.quote(str(directory.runs))} {settings}"
    if batch.submission.kind == "command":
        return f"{shlex.join([*start, *batch.command])} {settings}"
    return f'{shlex.join(start)} worker "$RUN_ID" {settings}'


def _srun_container(container: Container | None, settings: Settings) -> list[str]:
    if container is None or container.engine != "pyxis":
        return []
    return [f"--container-image={container.image}", f"--container-mounts={','.join(_mounts(container, settings))}"]


def _apptainer(profile: NodeProfile, settings: Settings) -> list[str]:
    container = profile.container
    if container is None or container.engine != "apptainer":
        return []
    gpu = ["--nv"] if profile.gpu else []
    return ["apptainer", "exec", *gpu, f"--bind={','.join(_mounts(container, settings))}", container.image]


def _mounts(container: Container, settings: Settings) -> Sequence[str]:
    own = list(dict.fromkeys(str(folder) for folder in folders(settings)))
    for folder in own:
        if any(character in _checked(Path(folder)) for character in ":,"):
            raise UsageError(f"{folder}: a folder with a colon or comma in its name cannot be mounted; rename it")
    return [*(f"{folder}:{folder}" for folder in own), *container.mounts]


def folders(settings: Settings) -> list[Path]:
    """The folders that a worker reads or writes."""
    named = [getattr(settings, name) for name in type(settings).model_fields if name != "experiments"]
    named.append(settings.notify.webhook_file)
    return [*(value for value in named if isinstance(value, Path)), *settings.dataset_roots.values()]


def _checked(path: Path) -> str:
    text = str(path)
    if not text.isprintable() or any(character in "%\\" for character in text):
        raise UsageError(
            f"{text!r}: Slurm cannot write to a folder with a percent sign, backslash or control character in its "
            "name; choose another root"
        )
    return text
