"""Whether a run is tracked online, offline or not at all."""

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from rdc_sweeps.errors import UsageError

Mode = Literal["online", "offline", "disabled"]

MODES: tuple[Mode, ...] = get_args(Mode)

VARIABLES = ("RDC_SWEEP_WANDB", "WANDB_MODE")

PUBLIC_URL = "https://api.wandb.ai"

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


def has_key(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether W&B will find credentials for its server in the environment or the netrc file."""
    if environ.get("WANDB_API_KEY") or environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(environ.get("WANDB_BASE_URL") or PUBLIC_URL).netloc
    home = Path(environ.get("HOME") or Path.home())
    candidates = [Path(environ["NETRC"])] if environ.get("NETRC") else [home / ".netrc", home / "_netrc"]
    for path in candidates:
        try:
            entry = netrc.netrc(path).authenticators(host)
        except (OSError, netrc.NetrcParseError):
            # W&B cannot read it either.
            continue
        if entry and entry[2]:
            return True
    return False
