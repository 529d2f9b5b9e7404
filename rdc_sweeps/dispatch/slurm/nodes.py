"""Node profiles: the resources that a Slurm job requests, and how a worker is started on a node."""

import re
import shlex
import tomllib
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.validation import suggestion

SHIPPED = Path(__file__).with_name("node_profiles.toml")

SET_BY_JOBS = frozenset(
    {
        "array",
        "chdir",
        "comment",
        "dependency",
        "error",
        "export",
        "hold",
        "job-name",
        "kill-on-invalid-dep",
        "no-requeue",
        "nodes",
        "ntasks",
        "ntasks-per-node",
        "open-mode",
        "output",
        "parsable",
        "requeue",
        "signal",
        "test-only",
        "wait",
        "wrap",
    }
)
"""Options of `sbatch` that are needed to find, restart and log a job."""


def _one_line(text: str) -> str:
    if not text or any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text):
        raise ValueError("must be one line of text without control characters")
    return text


def _word(text: str) -> str:
    if any(character.isspace() or character in "'\"\\`$;#<>" for character in text):
        raise ValueError("must be one word without quotes, spaces or any of \\ ` $ ; # < >")
    return text


def _time_limit(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value // 60:02}:{value % 60:02}:00"
    if not isinstance(value, str) or not re.fullmatch(r"(\d+-)?\d+:[0-5]\d:[0-5]\d", value, re.ASCII):
        raise ValueError('must be "HH:MM:SS", "D-HH:MM:SS" or whole minutes')
    return value


def _without_key(line: str) -> str:
    if "WANDB_API_KEY" in line:
        raise ValueError("keep the W&B key in the environment or in ~/.netrc: others may read job files")
    return line


Line = Annotated[str, AfterValidator(_one_line)]
Word = Annotated[Line, AfterValidator(_word)]
Option = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]


class Container(BaseModel):
    """A container image with Python and this package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["pyxis", "apptainer"] = Field(description="pyxis: options of srun; apptainer: `apptainer exec`.")
    image: Line = Field(description="Image, in the engine's own form: a URI or a file.")
    mounts: tuple[Word, ...] = Field(
        (),
        description="SOURCE:TARGET[:OPTIONS]; the folders of the settings are always mounted.",
    )


class NodeProfile(BaseModel):
    """The resources of one kind of job; amounts are per GPU, or per job without a GPU."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = Field("", description="One line for human readers.")
    extends: str | None = Field(None, description="Profile whose values this one inherits.")
    partition: Word | None = Field(None, description="Partition; default: the cluster's default.")
    account: Word | None = Field(None, description="Account to charge.")
    qos: Word | None = Field(None, description="Quality of service.")
    constraint: Word | None = Field(None, description="Required node features, such as a100&nvlink.")
    reservation: Word | None = Field(None, description="Reservation.")
    gpu: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] | None = Field(
        None, description="GPU type as Slurm names it, or `any`; none for a job without GPU."
    )
    cpus: int = Field(4, ge=1, description="CPU cores.")
    memory: str = Field("16G", pattern=r"^[1-9][0-9]*[KMGT]$", description="Memory, such as 64G.")
    time_limit: Annotated[str, BeforeValidator(_time_limit)] = Field(
        "12:00:00", description="HH:MM:SS, D-HH:MM:SS or minutes; longer runs resume in the next job."
    )
    signal_seconds: int = Field(
        180,
        ge=30,
        le=65535,
        description="Seconds before the time limit at which a run is told to save a checkpoint.",
    )
    array_parallelism: int = Field(64, ge=1, description="Maximum number of runs of one submission at once.")
    exclusive: bool = Field(False, description="Allocate whole nodes.")
    sbatch: dict[Option, bool | int | Line] = Field(
        {}, description='Further sbatch options, such as {"mail-type" = "END", contiguous = true}.'
    )
    setup: tuple[Annotated[str, AfterValidator(_without_key)], ...] = Field(
        (), description="Shell commands to run before the worker, such as `module load cuda`."
    )
    container: Container | None = Field(None, description="Container that the worker runs in.")
    python: Line | None = Field(
        None, description="Command that starts Python; default: the submitting interpreter, or `python` in a container."
    )
    threads: int = Field(0, ge=0, description="CPU threads per run; 0: as many as its CPU cores.")
    heartbeat: float = Field(10.0, gt=0, description="Seconds between heartbeats on the shared disk.")
    offline: bool = Field(
        False, description="The nodes have no internet access; W&B writes to disk for a later upload."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.signal_seconds >= self.seconds:
            raise ValueError(f"signal_seconds ({self.signal_seconds}) must be less than time_limit ({self.time_limit})")
        if reserved := sorted(SET_BY_JOBS & set(self.sbatch)):
            raise ValueError(f"sbatch: {', '.join(reserved)}: these options are set by rdc-sweep")
        if self.python is not None:
            try:
                shlex.split(self.python)
            except ValueError as error:
                raise ValueError(f"python: {error}") from error
        return self

    @property
    def seconds(self) -> int:
        """The time limit in seconds."""
        days, _, clock = self.time_limit.rpartition("-")
        hours, minutes, seconds = map(int, clock.split(":"))
        return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds

    def gpus(self, gpus_per_run: float) -> int:
        """The number of GPUs of a job for one run; 0 if the profile has none.

        Raises:
            UsageError: A fraction of a GPU, which Slurm cannot allocate.
        """
        if self.gpu is None:
            return 0
        if gpus_per_run != int(gpus_per_run):
            raise UsageError(f"gpus_per_run={gpus_per_run:g}: Slurm allocates whole GPUs only; use a whole number")
        return int(gpus_per_run)

    def total_memory(self, gpus: int) -> str:
        """The memory of a job with this number of GPUs."""
        return f"{int(self.memory[:-1]) * max(1, gpus)}{self.memory[-1]}"


def shipped_profiles() -> dict[str, dict[str, Any]]:
    """The profiles that come with the package, as written in their file."""
    return tomllib.loads(SHIPPED.read_text(encoding="utf-8"))


def node_profile(name: str, own: Mapping[str, Mapping[str, Any]]) -> NodeProfile:
    """Resolve the profile `name`: the user's `own` table overlays the shipped one, and both overlay what they extend.

    Raises:
        UsageError: There is no such profile, or a value is not valid.
    """
    values = _merged(name, own, shipped_profiles(), ())
    try:
        return NodeProfile(**values)
    except ValidationError as error:
        raise UsageError(
            "\n".join(
                ": ".join([".".join(["nodes", name, *map(str, problem["loc"])]), problem["msg"]])
                # The value of a whole table is too long to help, and a setup command may hold a secret.
                + ("" if problem["loc"][:1] in {(), ("setup",)} else f", found {problem['input']!r}")
                for problem in error.errors(include_url=False)
            )
        ) from error


def node_profiles(own: Mapping[str, Mapping[str, Any]]) -> dict[str, NodeProfile]:
    """All profiles by name.

    Raises:
        UsageError: A value of one of them is not valid.
    """
    return {name: node_profile(name, own) for name in sorted({*shipped_profiles(), *own})}


def _merged(
    name: str, own: Mapping[str, Mapping[str, Any]], shipped: Mapping[str, Mapping[str, Any]], below: tuple[str, ...]
) -> dict[str, Any]:
    if name in below:
        raise UsageError(f"nodes.{name}: extends itself: {' -> '.join((*below, name))}")
    if name not in own and name not in shipped:
        by = f"nodes.{below[-1]}.extends: " if below else "node: "
        raise UsageError(
            f"{by}no node profile {name!r}{suggestion(name, sorted({*own, *shipped}))}; to define it, add "
            f"[nodes.{name}] to rdc-sweep.toml"
        )
    values: dict[str, Any] = {}
    for table in (shipped.get(name, {}), own.get(name, {})):
        base = table.get("extends")
        if isinstance(base, str):
            values = _over(_merged(base, own, shipped, (*below, name)), values)
        values = _over(values, table)
    return values


def _over(values: dict[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Overlay one table on another: `sbatch` option by option, other values as a whole."""
    joint = {**values, **table}
    if isinstance(values.get("sbatch"), Mapping) and isinstance(table.get("sbatch"), Mapping):
        joint["sbatch"] = {**values["sbatch"], **table["sbatch"]}
    return joint
