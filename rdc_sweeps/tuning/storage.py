"""Storage of a study's trials: Optuna's journal in the study's folder, SQLite or PostgreSQL."""

import logging
import re
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rdc_sweeps.errors import InfrastructureError, UnavailableError, UsageError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

JOURNAL = "journal"
"""Stands in place of a URL for a journal."""

SECRET = re.compile(r"pass|pwd|secret|token|credential|key", re.IGNORECASE)
"""Names of parameters whose values are kept apart from a URL."""

FILES = frozenset({"passfile", "sslkey"})
"""Parameters that only sound like secrets: they name files."""

SQLITE_PATIENCE = 60.0
"""Seconds to wait for another process that writes to the same SQLite file."""

CONNECT_PATIENCE = 10
"""Seconds to wait for a PostgreSQL server."""

STORAGE_PATIENCE = 300.0
"""Seconds to retry a storage that cannot be reached, where work cannot continue without it."""

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StorageUrl:
    """The URL of a storage, and separately its secrets, which are never printed or written."""

    public: str = JOURNAL
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Passwords and the like by the names of libpq's parameters."""

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read a URL; None is the journal. SQLite files are relative to the working folder.

        Raises:
            UsageError: The URL is not that of a storage, or a package is missing.
        """
        if text is None or text == JOURNAL:
            return cls()
        _import_optuna()
        try:
            from sqlalchemy.engine import URL, make_url
            from sqlalchemy.exc import ArgumentError
        except ImportError as error:
            raise UsageError("--storage needs SQLAlchemy: pip install -e '.[postgres]' in the checkout") from error
        known = "postgresql://user@host/database, sqlite:///file.db, or nothing for a journal in the runs folder"
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            # The text is not repeated, because it may contain a password.
            raise UsageError(f"--storage: not the URL of a storage; write {known}") from None
        kind = url.get_backend_name()
        if kind == "sqlite":
            if not url.database or url.database == ":memory:":
                raise UsageError("--storage: trials in memory would be lost; write sqlite:///file.db")
            return cls(f"sqlite:///{Path(url.database).absolute()}")
        if kind not in {"postgresql", "postgres"}:
            raise UsageError(f"--storage: no storage {kind!r}; write {known}")
        # A parameter that is given more than once counts as the last.
        given = {key: value if isinstance(value, str) else value[-1] for key, value in url.query.items()}
        secrets = {key: value for key, value in given.items() if SECRET.search(key) and key not in FILES}
        if url.password:
            secrets["password"] = str(url.password)
        query = {key: value for key, value in given.items() if key not in secrets}
        public = URL.create("postgresql+psycopg", url.username, None, url.host, url.port, url.database, query)
        return cls(public.render_as_string(hide_password=False), secrets)

    def redacted(self, text: str) -> str:
        """A text, such as a message of the database, without the secrets."""
        for secret in self.secrets.values():
            text = text.replace(secret, "***")
        return text

    @property
    def is_journal(self) -> bool:
        """Whether the trials are in the study's own folder."""
        return self.public == JOURNAL


def open_storage(url: StorageUrl, folder: Path) -> "BaseStorage":
    """Open or create a storage.

    Args:
        url: URL of the storage; a PostgreSQL password may also be in PGPASSWORD or ~/.pgpass.
        folder: Folder of the study, for the journal.

    Raises:
        UsageError: A package is missing.
        UnavailableError: The database cannot be reached.
    """
    optuna = _import_optuna()
    if url.is_journal:
        from rdc_sweeps.tuning.journal import Journal

        folder.mkdir(parents=True, exist_ok=True)
        storage: BaseStorage = optuna.storages.JournalStorage(Journal(folder / "journal.log"))
        return storage
    if url.public.startswith("sqlite"):
        connect: dict[str, Any] = {"timeout": SQLITE_PATIENCE}
        Path(url.public.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    else:
        connect = {"connect_timeout": CONNECT_PATIENCE, **url.secrets}
    try:
        # Hours may pass between two requests of a worker; the database may have closed the connection meanwhile.
        database: BaseStorage = optuna.storages.RDBStorage(
            url.public, engine_kwargs={"connect_args": connect, "pool_pre_ping": True}
        )
    except ImportError as error:
        raise UsageError(f"{url.public}: {error}; pip install -e '.[postgres]' in the checkout") from error
    except storage_errors() as error:
        raise UnavailableError(f"{url.public}: {url.redacted(_first_line(error))}") from error
    return database


def storage_errors() -> tuple[type[Exception], ...]:
    """Exceptions that mean that a storage cannot be reached at the moment."""
    from optuna.exceptions import StorageInternalError

    try:
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        return (StorageInternalError, OSError)
    return (StorageInternalError, SQLAlchemyError, OSError)


def retry_storage(request: Callable[[], Answer]) -> Answer:
    """Send a request to the storage, and repeat it while the storage cannot be reached.

    Raises:
        InfrastructureError: It could not be reached for `STORAGE_PATIENCE` seconds.
    """
    deadline, pause = time.monotonic() + STORAGE_PATIENCE, 0.5
    while True:
        try:
            return request()
        except storage_errors() as error:
            if time.monotonic() + pause > deadline:
                raise InfrastructureError(f"the storage of the study cannot be reached: {error}") from error
            log.warning("the storage of the study cannot be reached, waiting: %s", error)
            time.sleep(pause)
            pause = min(2 * pause, 30.0)


def _first_line(error: BaseException) -> str:
    while isinstance(error.__cause__, BaseException):
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UsageError("tuning needs Optuna: pip install -e '.[tune]' in the checkout") from error
    optuna.logging.set_verbosity(logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna
