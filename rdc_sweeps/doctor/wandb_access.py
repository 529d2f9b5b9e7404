"""Checks of W&B: mode, key and server. The key is never shown."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

from rdc_sweeps.doctor.findings import Finding
from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Settings
from rdc_sweeps.tracking.mode import has_key, resolve_mode, server_url

SERVER_SECONDS = 4.0


def examine_wandb(settings: Settings) -> Iterator[Finding]:
    """Report the mode, whether there is a key, and whether the server responds."""
    try:
        mode = resolve_mode(settings.wandb)
    except UsageError as error:
        yield Finding("W&B", "problem", str(error), "set it to online, offline or disabled")
        return
    key = has_key()
    lacks = mode == "online" and not key
    yield Finding(
        "W&B",
        "warning" if lacks else "ok",
        f"{mode}, {'key found' if key else 'no key'}",
        "run `wandb login`, or set WANDB_API_KEY; until then runs are tracked offline" if lacks else None,
    )
    if mode == "disabled":
        return
    url = urlsplit(server_url())
    # Not the whole address, which can contain a password.
    host = url.hostname or "nowhere"
    server = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
    problem = _unreachable(server)
    if problem is None:
        yield Finding("W&B server", "ok", f"{host} responds")
    else:
        matters = mode == "online"
        remedy = "runs are tracked offline; `rdc-sweep sync` on a host with a connection sends them"
        yield Finding("W&B server", "warning" if matters else "ok", f"{host}: {problem}", remedy if matters else None)


def _unreachable(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=SERVER_SECONDS):
            return None
    except urllib.error.HTTPError:
        # An HTTP error is a response too.
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return f"cannot be reached ({' '.join(str(reason).split())})"
