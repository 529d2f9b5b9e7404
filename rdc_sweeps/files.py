"""Writing files so that a reader sees the old content or the new, never half of it."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

Write = Callable[[Path, Callable[[IO[bytes]], object]], None]
"""Replaces a file, such as `write_atomically`."""


def write_atomically(
    path: Path, write: Callable[[IO[bytes]], object], *, durable: bool = True, staging: Path | None = None
) -> None:
    """Call `write` on a temporary file, and put it in the place of `path`.

    Args:
        path: The file; its folder is made if need be.
        write: Writes the content.
        durable: Bring it to disk first, so that a crash of the machine leaves the old content or the new.
        staging: An existing folder of the same disk for the temporary file, instead of the file's own. Whoever removes
            that folder stops its writer.
    """
    temporary = (staging or path.parent) / f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        with _created(temporary, make_folder=staging is None) as file:
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _created(path: Path, *, make_folder: bool) -> IO[bytes]:
    # Not a private temporary file: colleagues on a shared disk may read what the umask lets them.
    try:
        return path.open("xb")
    except FileNotFoundError:
        if not make_folder:
            raise
    # Folders are rarely missing, and to ask each time costs a shared disk as much as the writing.
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def write_json(path: Path, data: Any, *, durable: bool = True) -> None:
    """Write JSON atomically; a NaN in it is an error."""
    encoded = json_bytes(data)
    write_atomically(path, lambda file: file.write(encoded), durable=durable)


def json_bytes(data: Any) -> bytes:
    """JSON as it stands in our files.

    Raises:
        ValueError: There is a NaN in it.
    """
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()
