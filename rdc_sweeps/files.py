"""Atomic writes and kernel file locks."""

import errno
import fcntl
import json
import os
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from rdc_sweeps.errors import DamagedError, UnavailableError

Write = Callable[[Path, Callable[[IO[bytes]], object]], None]
"""A function that replaces a file, such as `write_atomically`."""

WITHOUT_LOCKS = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK})
"""Error codes of file systems without locks."""

NOT_A_FILE = frozenset({errno.EISDIR, errno.ELOOP, errno.ENXIO})
"""Error codes for opening what is no regular file: a folder, a loop of links, a socket."""


def write_atomically(
    path: Path, write: Callable[[IO[bytes]], object], *, durable: bool = True, staging: Path | None = None
) -> None:
    """Call `write` on a temporary file, then replace `path` with it.

    Args:
        path: The file; its folder is created if missing.
        write: Writes the content.
        durable: Sync to disk first, so that a machine crash leaves either the old content or the new.
        staging: An existing folder on the same disk for the temporary file, instead of the file's own folder. Removing
            it makes the write fail, which stops the writer.
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
    # Not `tempfile`, whose files are private: on a shared disk, the umask decides who can read them.
    try:
        return path.open("xb")
    except FileNotFoundError:
        if not make_folder:
            raise
    # Folders are rarely missing, and on a shared disk checking each time costs as much as the write itself.
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def open_file(path: Path) -> IO[bytes]:
    """Open a regular file for reading; a pipe in its place is not waited for.

    Raises:
        DamagedError: Something else is in its place.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in NOT_A_FILE:
            raise DamagedError(f"{path}: is not a file ({error.strerror}); move it away") from error
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise DamagedError(f"{path}: is not a file; move it away")


def read_file(path: Path) -> bytes:
    """Read a regular file; see `open_file`."""
    with open_file(path) as file:
        return file.read()


def write_json(path: Path, data: Any, *, durable: bool = True) -> None:
    """Write JSON atomically.

    Raises:
        ValueError: The data contain a NaN or an infinity.
    """
    encoded = json_bytes(data)
    write_atomically(path, lambda file: file.write(encoded), durable=durable)


def json_bytes(data: Any) -> bytes:
    """Encode JSON in the format of our files.

    Raises:
        ValueError: The data contain a NaN or an infinity.
    """
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()


def try_lock(path: Path) -> int | None:
    """Try to lock a file exclusively, creating it if missing; its folder must exist.

    A lock library would fall back to lock files where the disk has no locks, and those outlive a killed process.

    Returns:
        The open file, to be released with `unlock`; None if another process holds the lock or has moved the folder.

    Raises:
        FileNotFoundError: The folder does not exist.
        UnavailableError: The file system does not support locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another process may have moved the folder, and the lock file with it.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass  # held by another process, or moved
    except OSError as error:
        os.close(descriptor)
        if error.errno in WITHOUT_LOCKS:
            raise UnavailableError(
                f"{path}: this file system does not support locks ({error.strerror}); mount it with flock, or "
                "choose another --root"
            ) from error
        raise
    os.close(descriptor)
    return None


def wait_for_lock(path: Path, poll_seconds: float) -> int:
    """Lock a file like `try_lock`, but wait as long as other processes hold the lock.

    Raises:
        FileNotFoundError: The folder does not exist.
        UnavailableError: The file system does not support locks.
    """
    while (descriptor := try_lock(path)) is None:
        time.sleep(poll_seconds)
    return descriptor


def unlock(descriptor: int) -> None:
    """Release a lock, even if forked children still have the file open."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process holds the exclusive lock of a file; creates nothing and needs no write permission.

    It briefly takes a shared lock, so concurrent readers do not disturb each other. On a file system without locks, no
    file counts as locked.
    """
    try:
        # Without O_NONBLOCK, a pipe in its place would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
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
