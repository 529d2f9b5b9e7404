"""The environment of worker processes: built here from that of the calling process, never simply inherited.

Variables that other launchers and libraries leave behind would change a training, or hang it, without a word; and
Python would import what lies in the working directory in place of installed packages.
"""

import getpass
import importlib.machinery
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import process, util
from pathlib import Path

import rdc_sweeps
from rdc_sweeps.errors import UsageError

PACKAGE = str(rdc_sweeps.__file__)

LAUNCHERS = frozenset(
    {
        "WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "GROUP_WORLD_SIZE",
        "ROLE_RANK", "ROLE_WORLD_SIZE", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT",
    }
)  # fmt: skip
"""Set by torchrun and other launchers for their own processes."""

ARITHMETIC = frozenset(
    {
        "NVIDIA_TF32_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE", "NPY_PROMOTION_STATE",
        "PYTORCH_JIT",
    }
)  # fmt: skip
"""Change the precision of all arithmetic."""

PYTHON = frozenset({"PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONWARNINGS"})
"""Keep ended processes alive, or turn warnings of libraries into errors."""

FAMILIES = (
    "ACCELERATE_", "DEEPSPEED_", "FSDP_", "PET_", "TORCHELASTIC_", "TIMM_", "TORCHDYNAMO_", "TORCHINDUCTOR_",
    "TORCH_ALLOW_", "TORCH_FORCE_", "PYTORCH_TUNABLEOP_",
)  # fmt: skip
"""Settings of libraries that are no part of a run's spec."""

TRACKER = "WANDB_"
TRACKER_KEPT = (
    "API_KEY", "APP_URL", "ARTIFACT_DIR", "BASE_URL", "CACHE_DIR", "CONFIG_DIR", "CORE_DEBUG", "CREDENTIALS_FILE",
    "DATA_DIR", "DEBUG", "ENTITY", "ERROR_REPORTING", "HTTPS_PROXY", "HTTP_PROXY", "HTTP_TIMEOUT",
    "IDENTITY_TOKEN_FILE", "INSECURE_DISABLE_SSL", "MODE", "QUIET", "SILENT", "USERNAME", "USER_EMAIL",
    "X_EXTRA_HTTP_HEADERS", "X_FILE_", "X_GRAPHQL_", "X_PROXIES",
)  # fmt: skip
"""How W&B variables begin that say where a server is, who uses it and where its files go; others describe one run."""

LONGEST_TEMPORARY = 60
"""Bytes of the longest name of a folder in which every library can make a socket, whose name has at most 107."""

TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")


@dataclass(frozen=True)
class WorkerEnvironment:
    """The variables of worker processes.

    Attributes:
        variables: All of them.
        left_out: Names of variables of the calling process that workers do not get.
        changes: What differs otherwise, as text.
    """

    variables: Mapping[str, str]
    left_out: tuple[str, ...]
    changes: tuple[str, ...]

    @property
    def messages(self) -> list[str]:
        """What a user should know, a line each; empty if workers get what the calling process has."""
        left_out = [f"not passed on to workers: {', '.join(self.left_out)}"] if self.left_out else []
        return [*left_out, *self.changes]


def worker_environment() -> WorkerEnvironment:
    """Build the environment of worker processes from that of this process.

    Raises:
        UsageError: There is no folder for temporary files.
    """
    left_out = tuple(sorted(name for name in os.environ if _is_foreign(name)))
    variables = {name: value for name, value in os.environ.items() if name not in left_out}
    variables["PYTHONSAFEPATH"] = "1"
    changes = []
    temporary = tempfile.gettempdir()
    if (short := _short_temporary(temporary)) != temporary:
        variables["TMPDIR"] = short
        changes.append(f"workers use {short} for temporary files: {temporary} is too long for the names of sockets")
    return WorkerEnvironment(variables, left_out, tuple(changes))


PYTHON_COMMAND = (sys.executable, "-P")
"""Begins the command of a program of this package, which is to be started in its `program_environment`."""


def program_environment() -> dict[str, str]:
    """The environment of workers, in which Python imports this same package, wherever it was imported from."""
    variables = worker_environment().variables
    path = [str(Path(PACKAGE).parents[1]), variables.get("PYTHONPATH")]
    return {**variables, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def user_name() -> str:
    """The name of the calling user, else the number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def adopt_worker_environment() -> list[str]:
    """Give this process, a worker that another program started, the environment of workers.

    Returns:
        What a user should know, a line each.
    """
    built = worker_environment()
    _replace_variables(built.variables)
    tempfile.tempdir = built.variables.get("TMPDIR", tempfile.tempdir)
    return built.messages


def _is_foreign(name: str) -> bool:
    if name.startswith(TRACKER):
        return not name.removeprefix(TRACKER).startswith(TRACKER_KEPT)
    return name in LAUNCHERS | ARITHMETIC | PYTHON or name.startswith(FAMILIES)


def _short_temporary(folder: str) -> str:
    if len(os.fsencode(folder)) <= LONGEST_TEMPORARY:
        return folder
    for candidate in TEMPORARY:
        if os.access(candidate, os.W_OK | os.X_OK):
            return candidate
    raise UsageError(
        f"TMPDIR: {folder} is too long for the names of sockets (at most {LONGEST_TEMPORARY} bytes), and none of "
        f"{', '.join(TEMPORARY)} is writable; set TMPDIR to a folder with a shorter name"
    )


def import_path() -> list[str]:
    """`sys.path`, with the folders at its end that Python puts first for the working directory and for the script.

    A folder that PYTHONPATH names in full was put there on purpose, and keeps its place.
    """
    safe, moved = _divided_path()
    return [*safe, *moved]


def _divided_path() -> tuple[list[str], list[str]]:
    """The import path without the folders of the working directory and the script, and these."""
    named = {entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if Path(entry).is_absolute()}
    script = getattr(sys.modules["__main__"], "__file__", None)
    # The working directory when this process started.
    working = getattr(process, "ORIGINAL_DIR", None)
    folders = {_real(folder) for folder in (working, script and Path(script).parent) if folder}
    unsafe = folders - {_real(entry) for entry in named}
    standard_library = str(Path(os.__file__).parent)
    # What follows the standard library was installed, perhaps from a checkout that is the working directory.
    first = sys.path.index(standard_library) if standard_library in sys.path else len(sys.path)
    moved = [entry for entry in sys.path[:first] if _real(entry) in unsafe]
    return [entry for entry in sys.path[:first] if entry not in moved] + sys.path[first:], moved


def _real(folder: str | Path) -> str:
    return os.path.realpath(folder)


def check_package() -> None:
    """Check that worker processes will import this package from where this process has it.

    Raises:
        UsageError: They would not find it, or another one.
    """
    safe, _ = _divided_path()
    found = importlib.machinery.PathFinder.find_spec("rdc_sweeps", safe)
    if found is None or found.origin is None or not Path(found.origin).samefile(PACKAGE):
        here = Path(PACKAGE).parents[1]
        instead = f"import {found.origin}" if found and found.origin else "not find it"
        raise UsageError(
            f"this process runs rdc_sweeps from {here}, but its workers would {instead}: "
            f"install it (pip install -e {here}), or name {here} in PYTHONPATH"
        )


@contextmanager
def built_environment() -> Iterator[None]:
    """Processes that are started in this context get the environment and the import path of workers."""
    check_package()
    variables, path, temporary = dict(os.environ), list(sys.path), tempfile.tempdir
    built = worker_environment()
    _replace_variables(built.variables)
    sys.path[:] = import_path()
    tempfile.tempdir = built.variables.get("TMPDIR", temporary)
    try:
        # Chosen at the first call; afterwards, sockets of this process and its children are there.
        util.get_temp_dir()
        yield
    finally:
        tempfile.tempdir = temporary
        sys.path[:] = path
        _replace_variables(variables)


def _replace_variables(wanted: Mapping[str, str]) -> None:
    """Change only what differs: other threads read the environment meanwhile."""
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
