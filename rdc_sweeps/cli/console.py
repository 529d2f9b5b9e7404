"""Where text goes: data on stdout, messages on stderr."""

import json
from typing import Any

from rich.console import Console

data = Console(soft_wrap=False)
"""What a user asked for."""

messages = Console(stderr=True, soft_wrap=True)
"""Everything else."""


def print_json(value: Any) -> None:
    """Plain JSON on stdout."""
    data.file.write(json.dumps(value, indent=2) + "\n")
