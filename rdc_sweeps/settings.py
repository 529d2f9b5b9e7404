"""Settings: where things are on this machine and how runs are executed. Nothing here changes a result.

Sources, highest precedence first: command-line flags, `RDC_SWEEP_*` environment variables, `rdc-sweep.toml` in the
project (the working directory or one above it), `rdc-sweep/config.toml` in the XDG configuration folder, defaults.
Relative folders in a file are relative to that file; all others are relative to the working directory.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from rdc_sweeps.errors import UsageError

PROJECT_FILE = "rdc-sweep.toml"
PREFIX = "RDC_SWEEP_"


SHELL_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")


def _folder(text: str) -> Path:
    """The folder that a text names, as a shell would read it: `~`, `~user` and variables are expanded.

    Raises:
        ValueError: It is no name of a folder; folders of such names would be created.
    """
    if not text or text != text.strip() or not text.isprintable():
        raise ValueError("must be the name of a folder, without spaces around it or control characters")
    if text[0] in "\"'" or text[-1] in "\"'":
        raise ValueError("must be the name of a folder without quotation marks; they are for the shell alone")
    if re.match(r"\w+:/", text):
        raise ValueError("must be a folder of this machine, not a URL")
    expanded = os.path.expandvars(text)
    if unset := SHELL_VARIABLE.search(expanded):
        raise ValueError(f"the variable {unset.group()} is not set")
    try:
        return Path(expanded).expanduser()
    except RuntimeError:
        raise ValueError(f"there is no home folder of {expanded.partition('/')[0]}") from None


def _with_folders(values: Mapping[str, Any], place: Callable[[str], str], base: Path = Path()) -> dict[str, Any]:
    """Settings whose folders are read by `_folder`, and relative ones resolved against `base`.

    Raises:
        UsageError: A folder cannot be read; `place` says where a setting stands.
    """

    def read(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: read(name, inner) for key, inner in value.items()}
        try:
            return base / _folder(str(value)) if isinstance(value, str | Path) else value
        except ValueError as error:
            if name in Notify.model_fields:
                # What was found may be the secret itself.
                raise UsageError(
                    f"{place('notify')}: notify.{name}: must be the name of a file, which has the URL on its first line"
                ) from None
            raise UsageError(f"{place(name)}: {name}: {error}, found {str(value)!r}") from None

    def read_all(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
        found = {}
        for name, value in values.items():
            kind = model.model_fields[name].annotation if name in model.model_fields else None
            if isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, Mapping):
                found[name] = read_all(value, kind)
            else:
                found[name] = read(name, value) if _mentions_path(kind) else value
        return found

    return read_all(values, Settings)


def _xdg(variable: str, default: str) -> Path:
    try:
        return Path(os.environ.get(variable) or Path.home() / default) / "rdc-sweep"
    except RuntimeError:
        raise UsageError(
            f"there is no home folder: HOME is not set, and user {os.getuid()} has no entry in passwd; set HOME"
        ) from None


Occasion = Literal["ended", "failed", "stalled"]
"""What a user may want to hear of: a sweep has ended, a run failed for good, nothing has moved for some time."""


class Notify(BaseModel):
    """Whom to tell what happens to sweeps, and of what (see `notifications`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    occasions: tuple[Occasion, ...] = ("ended", "failed", "stalled")
    stalled_minutes: float = Field(60.0, gt=0)
    wandb: bool = False
    command: tuple[str, ...] = ()
    webhook_file: Path | None = None
    timeout: float = Field(20.0, gt=0, le=300)

    @property
    def active(self) -> bool:
        """Whether anything would be sent."""
        return bool(self.occasions and (self.wandb or self.command or self.webhook_file))


class Settings(BaseSettings):
    """All settings; `rdc-sweep config` prints them with their values."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    root: Path = Field(Path("runs"), description="Run directories.")
    experiments: Path | None = Field(
        None, description="Tables and profiles; default: ./experiments, or the ones shipped."
    )
    profile: str = Field("paper", description="Profile applied to every table.")
    nyuv2_root: Path | None = Field(None, description="NYU-V2 in the MTAN .npy layout.")
    cityscapes_root: Path | None = Field(None, description="Cityscapes in the MTAN .npy layout.")
    dataset_roots: dict[str, Path] = Field({}, description="Folders of data sets added by extensions, by name.")
    label_settings_root: Path | None = Field(None, description="The published label settings (.pth files).")
    weights_root: Path | None = Field(None, description="Pretrained weights and SAM checkpoints.")
    cache_root: Path = Field(
        default_factory=lambda: _xdg("XDG_CACHE_HOME", ".cache"), description="Rendered data sets and region maps."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA if available, else CPU.")
    fused_kernel: Literal["auto", "on", "off"] = Field(
        "auto", description="The contrast's kernel on a GPU; auto: where it was measured to be right and faster."
    )
    max_parallel: int = Field(0, ge=0, description="Concurrent runs on one machine; 0: chosen for it.")
    threads: int = Field(0, ge=0, description="CPU threads per run; 0: cores divided among concurrent runs.")
    workers: int = Field(0, ge=0, description="Loader processes per run; 0: one background thread.")
    gpus_per_run: float = Field(
        1.0, gt=0, description="GPUs per run: 0.5 lets two runs share one, 2 trains one on two (on the CPU: processes)."
    )
    executor: Literal["local", "slurm"] = Field("local", description="This machine, or Slurm jobs.")
    node: str = Field("a100", description="Profile of the Slurm nodes; [nodes.NAME] in a settings file defines one.")
    nodes: dict[str, dict[str, Any]] = Field({}, description="Profiles of Slurm nodes, overriding the shipped ones.")
    retries: int = Field(2, ge=0, description="How many times to restart a run whose worker died without progress.")
    heartbeat: float = Field(
        1.0, gt=0, description="Seconds between heartbeats; use longer intervals for large sweeps."
    )
    wandb: Literal["online", "offline", "disabled"] | None = Field(
        None, description="Default: online if there is a key, else offline."
    )
    wandb_project: str = Field("rdc-sweeps", description="W&B project.")
    wandb_entity: str | None = Field(None, description="W&B user or team; default: the key's.")
    notify: Notify = Field(Notify(), description="Notifications: [notify] in a settings file; see docs/tracking.md.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, project file, user file, in order of precedence."""
        return (
            init_settings,
            _Variables(settings_cls),
            *(_FileSource(settings_cls, path) for path in settings_files()),
        )


class _Variables(EnvSettingsSource):
    """The environment variables."""

    def __call__(self) -> dict[str, Any]:
        """Their values."""
        return _with_folders(super().__call__(), lambda name: PREFIX + name.upper())


class _FileSource(TomlConfigSettingsSource):
    """A TOML file; its relative folders are resolved against the file's own folder."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path) -> None:
        self.path = path
        super().__init__(settings_cls, path)

    def __call__(self) -> dict[str, Any]:
        """The file's values."""
        return _with_folders(super().__call__(), lambda _: str(self.path), self.path.parent)

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        try:
            # Editors of Windows put a byte order mark at the beginning.
            return tomllib.loads(self.path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{self.path}: invalid TOML: {error}") from error


def _mentions_path(annotation: Any) -> bool:
    return annotation is Path or any(map(_mentions_path, get_args(annotation)))


def dataset_root(name: str, settings: Settings) -> Path | None:
    """The folder of a data set; None if none is set or needed."""
    root: Path | None = getattr(settings, f"{name}_root", None)
    return settings.dataset_roots.get(name, root)


def settings_files() -> list[Path]:
    """The settings files that exist, highest precedence first."""
    candidates = (project_file(), _xdg("XDG_CONFIG_HOME", ".config") / "config.toml")
    return [path for path in candidates if path is not None and path.is_file()]


def project_file() -> Path | None:
    """The nearest `rdc-sweep.toml` in the working directory or one above it."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise UsageError("the working directory no longer exists; change to another one") from None
    return next((path for folder in (here, *here.parents) if (path := folder / PROJECT_FILE).is_file()), None)


def load_settings(**flags: Any) -> Settings:
    """Load the settings, with the given flags on top (None means not given).

    Raises:
        UsageError: A value is invalid, a field does not exist, or a file cannot be parsed.
    """
    misspelt = sorted(
        name
        for name in os.environ
        if name.startswith(PREFIX) and name[len(PREFIX) :].lower() not in Settings.model_fields
    )
    if misspelt:
        known = ", ".join(PREFIX + name.upper() for name in Settings.model_fields)
        raise UsageError(f"{', '.join(misspelt)}: no such setting. Available variables: {known}")
    given = _with_folders({name: value for name, value in flags.items() if value is not None}, _flag)
    try:
        return Settings(**given)
    except SettingsError as error:
        example = f'{PREFIX}DATASET_ROOTS=\'{{"mine": "/data/mine"}}\''
        raise UsageError(f"{error}: must be JSON, such as {example}") from error
    except ValidationError as error:
        raise UsageError("\n".join(_problem(problem, given) for problem in error.errors(include_url=False))) from error


def read_settings(path: Path) -> Settings:
    """Read settings that another process wrote as JSON; this process's environment is ignored.

    Raises:
        UsageError: The file is missing or damaged.
    """
    try:
        return Settings.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not a valid settings file: {error}") from error


def _problem(problem: ErrorDetails, flags: Mapping[str, Any]) -> str:
    """The message for an invalid setting: where it was set, what was found, what is valid."""
    name, *inner = map(str, problem["loc"])
    place = ".".join((name, *inner))
    message = problem["msg"].replace("Input should be", "must be", 1).partition(", unable to")[0]
    if problem["type"] == "extra_forbidden":
        known = (Notify if inner else Settings).model_fields
        message = f"there is no such setting. Available settings: {', '.join(known)}"
    elif name != "notify" or inner[:1] not in (["command"], ["webhook_file"]):
        # Commands and files of notifications may hold secrets.
        message += f", found {problem['input']!r}"
    return f"{_origin(name, flags)}: {place}: {message}"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _origin(name: str, flags: Mapping[str, Any]) -> str:
    variable = PREFIX + name.upper()
    if name in flags:
        return _flag(name)
    if os.environ.get(variable):
        return variable
    return next((str(path) for path in settings_files() if name in _FileSource(Settings, path)()), "settings")


def experiments_folder(settings: Settings) -> Path:
    """The folder of tables and profiles: the configured one, ./experiments, or the one shipped with the package."""
    if settings.experiments is not None:
        return settings.experiments
    package = Path(__file__).resolve().parent
    candidates = (Path("experiments"), package / "experiments", package.parent / "experiments")
    return next((folder for folder in candidates if folder.is_dir()), candidates[0])
