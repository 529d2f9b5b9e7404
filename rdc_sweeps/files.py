"""Atomic writes, and the kernel's locks on files."""

import errno
import fcntl
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from rdc_sweeps.errors import UnavailableError

Write = Callable[[Path, Callable[[IO[bytes]], object]], None]
"""Replaces a file, such as `write_atomically`."""

WITHOUT_LOCKS = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK})
"""Error codes of file systems without locks."""


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


def try_lock(path: Path) -> int | None:
    """Lock a file, which is made if need be; its folder must exist.

    A library would fall back to files as locks where the disk has none, and those outlive who is killed.

    Returns:
        The open file, whose lock `unlock` gives back; None if somebody else holds it, or has moved its folder away.

    Raises:
        FileNotFoundError: There is no such folder.
        UnavailableError: The disk does not lock files.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Somebody may have moved the folder away, and the lock with it.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass  # not now
    except OSError as error:
        os.close(descriptor)
        if error.errno in WITHOUT_LOCKS:
            raise UnavailableError(
                f"{path}: this disk does not lock files ({error.strerror}); mount it with flock, or choose another "
                "--root"
            ) from error
        raise
    os.close(descriptor)
    return None


def unlock(descriptor: int) -> None:
    """Give a lock back; also where forked children have the file open still."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process holds the exclusive lock of a file; creates nothing and needs no write permission.

    It takes a shared lock for a moment, so any number of readers do not disturb each other. A disk without locks has no
    file that is locked.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    finally:
        os.close(descriptor)
    return False
