"""A project at W&B, for what is neither a run nor its history: views and alerts."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from rdc_sweeps.errors import UnavailableError

TIMEOUT_SECONDS = 30
"""Of one request, with all of its retries."""

CLOSING_SECONDS = 5.0
"""How long the library may take to end its service."""

SERVICE = "wandb-core"
"""Name of the service's process."""


class Project:
    """A project, and the right to use it.

    Attributes:
        name: Its name.
        entity: The user or team that it belongs to.
        app_url: Address of the web pages of this W&B.
    """

    def __init__(self, api: Any, name: str, entity: str | None) -> None:
        self._api = api
        self.name = name
        self.app_url: str = api._service_api.app_url.rstrip("/")
        self.entity = entity or self._default_entity()

    def execute(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Send a GraphQL operation and return the data of the answer.

        Raises:
            UnavailableError: W&B does not answer, or refuses.
        """
        try:
            found: dict[str, Any] = self._api._service_api.execute_graphql(query, variables, timeout=TIMEOUT_SECONDS)
        except Exception as error:
            # The library has no common class of its errors.
            raise _unavailable(error) from error
        return found

    def _default_entity(self) -> str:
        entity: str | None = self._api.default_entity
        if entity is None:
            raise UnavailableError("W&B names no default entity of this key; set wandb_entity")
        return entity


@contextmanager
def open_project(name: str, entity: str | None) -> Iterator[Project]:
    """Connect to a project; without an entity, to one of the key's own.

    There must be a key, see `require_key`.

    Raises:
        UnavailableError: W&B does not answer.
    """
    # It would say who is logged in.
    os.environ["WANDB_SILENT"] = "true"
    import wandb

    try:
        yield _connected(name, entity)
    finally:
        # The library waits for its service, which may try a request again and again that nobody waits for any more.
        services = [child for child in psutil.Process().children() if child.name().startswith(SERVICE)]
        killer = threading.Timer(CLOSING_SECONDS, lambda: [service.kill() for service in services])
        killer.daemon = True
        killer.start()
        # It ends the program if the service was killed.
        with suppress(Exception, SystemExit):
            wandb.teardown()
        killer.cancel()


def _connected(name: str, entity: str | None) -> Project:
    import wandb

    try:
        return Project(wandb.Api(timeout=TIMEOUT_SECONDS), name, entity)
    except UnavailableError:
        raise
    except Exception as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> UnavailableError:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return UnavailableError(f"W&B does not answer as it should ({text[:300]}); try again later")
