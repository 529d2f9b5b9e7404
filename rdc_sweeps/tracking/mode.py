"""Whether a run is tracked online, offline or not at all."""

import configparser
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from rdc_sweeps.errors import UnavailableError, UsageError

Mode = Literal["online", "offline", "disabled"]

MODES: tuple[Mode, ...] = get_args(Mode)

VARIABLES = ("RDC_SWEEP_WANDB", "WANDB_MODE")

PUBLIC_URL = "https://api.forge.coreweave.com"
"""The server of W&B's library if no other is set."""

UPSTREAM = {"api.forge.coreweave.com": "api.wandb.ai"}
"""Servers behind others, whose keys the library takes too."""

# Older names that W&B still accepts in WANDB_MODE.
_FORMER = {"dryrun": "offline", "run": "online"}


def resolve_mode(requested: str | None, environ: Mapping[str, str] = os.environ) -> Mode:
    """The mode: `requested`, else `RDC_SWEEP_WANDB`, else `WANDB_MODE`, else online with a key and offline without.

    It never prompts and makes no connection.

    Raises:
        UsageError: A value is not a valid mode.
    """
    sources = [("--wandb", requested), *((name, environ.get(name)) for name in VARIABLES)]
    for source, value in sources:
        if not value:
            continue
        value = _FORMER.get(value, value) if source == "WANDB_MODE" else value
        for mode in MODES:
            if value == mode:
                return mode
        raise UsageError(f"{source}={value!r}: no such W&B mode; valid are {', '.join(MODES)}")
    return "online" if has_key(environ) else "offline"


def server_url(environ: Mapping[str, str] = os.environ) -> str:
    """The server that W&B will use: `WANDB_BASE_URL`, else that of `wandb login --host`, else the public one."""
    if url := environ.get("WANDB_BASE_URL"):
        return url
    folder = Path(environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb")
    stored = configparser.ConfigParser(interpolation=None)
    try:
        stored.read(_expanded(folder, environ) / "settings", encoding="utf-8")
        return stored.get("default", "base_url", fallback=PUBLIC_URL)
    except (configparser.Error, UnicodeDecodeError, OSError):
        # W&B cannot read it either.
        return PUBLIC_URL


def has_key(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether W&B will find credentials for its server in the environment or the netrc file."""
    if environ.get("WANDB_API_KEY") or environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(server_url(environ)).netloc
    hosts = [host, *([UPSTREAM[host]] if host in UPSTREAM else [])]
    candidates = [Path(environ["NETRC"])] if environ.get("NETRC") else [Path("~/.netrc"), Path("~/_netrc")]
    for path in candidates:
        try:
            stored = netrc.netrc(_expanded(path, environ))
        except (OSError, netrc.NetrcParseError):
            # W&B cannot read it either.
            continue
        entries = [stored.authenticators(name) for name in hosts]
        if any(entry and entry[2] for entry in entries):
            return True
    return False


def require_key() -> None:
    """Check that there is a key.

    Raises:
        UnavailableError: There is none.
    """
    if not has_key():
        raise UnavailableError("no W&B key found: run `wandb login`, or set WANDB_API_KEY")


def _expanded(path: Path, environ: Mapping[str, str]) -> Path:
    """A path with `~` for the home that these variables name."""
    first, *rest = path.parts or (".",)
    return Path(environ.get("HOME") or Path.home(), *rest) if first == "~" else path
