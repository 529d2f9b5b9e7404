"""The journal of a study: Optuna's, with a checksum in each line and the number of lines beside it.

The checksum covers the line's number, so that a removed line is noticed; the number of lines is in `journal.lines`, so
that a shortened journal is. Lines of earlier versions have no checksum.
"""

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from rdc_sweeps.errors import DamagedError
from rdc_sweeps.files import read_file, unlock, wait_for_lock, write_atomically
from rdc_sweeps.seals import LINES, checksum, seal_record, with_header, without_header


class Journal(JournalFileBackend):
    """Optuna's backend for journals, with verified lines."""

    def __init__(self, path: Path) -> None:
        self._path, self._lines = path, path.with_suffix(".lines")
        self._mutex = _JournalLock(path)
        self._counted = self._size = 0
        self._written()
        super().__init__(str(path), lock_obj=self._mutex)  # type: ignore[arg-type]

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The entries from this number on.

        Raises:
            DamagedError: They are not what was written.
        """
        written, number = self._written(), log_number_from
        try:
            for entry in super().read_logs(log_number_from):
                yield _verified(entry, number)
                number += 1
        except (ValueError, KeyError) as error:
            raise self._damaged(f"line {number + 1}: {error}") from error
        if number < written:
            raise self._damaged(f"it has {number} of {written} lines")

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add entries."""
        self._mutex.acquire()
        try:
            first = self._count()
            lines = (seal_record(json.dumps(entry).encode(), str(first + n)) + b"\n" for n, entry in enumerate(logs))
            with self._path.open("ab") as file:
                file.write(b"".join(lines))
                file.flush()
                os.fsync(file.fileno())
            # If this process is killed before, the number is too small, which does no harm.
            number = with_header(b"%d\n" % (first + len(logs)), LINES)
            write_atomically(self._lines, lambda file: file.write(number), durable=False)
        finally:
            self._mutex.release()

    def _count(self) -> int:
        """The number of lines in the file, of which only the new ones are read."""
        with self._path.open("rb") as file:
            file.seek(self._size)
            news = file.read()
        self._counted += news.count(b"\n")
        self._size += len(news)
        return self._counted

    def _written(self) -> int:
        """The number of lines that were written, perhaps a little outdated; 0 if it was never recorded.

        Raises:
            DamagedError: The number is damaged, or the journal is missing although it had lines.
        """
        try:
            written = int(without_header(read_file(self._lines), LINES))
        except FileNotFoundError:
            return 0
        except ValueError as error:
            raise DamagedError(f"{self._lines}: is damaged ({error}); delete it if {self._path} is whole") from error
        if written and not self._path.exists():
            raise self._damaged("it is missing")
        return written

    def _damaged(self, problem: str) -> DamagedError:
        return DamagedError(
            f"{self._path}: is damaged ({problem}): the trials of the study cannot be read; restore the file from a "
            "backup, or start another study with --study NAME, which finds the finished runs of this one"
        )


def _verified(entry: Any, number: int) -> dict[str, Any]:
    if not isinstance(entry, dict) or not entry:
        raise ValueError("is not an entry")
    first, content = next(iter(entry)), {name: value for name, value in entry.items() if name != "checksum"}
    if first == "checksum" and entry[first] == checksum(json.dumps(content).encode()[1:], str(number)):
        return content
    if first == "op_code" and len(content) == len(entry):
        return entry
    raise ValueError("its checksum does not match")


class _JournalLock:
    """Lock of the journal while it is written; the kernel releases it when its process ends, for whatever reason."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal

    def acquire(self) -> bool:
        # Other threads may wait here; only the one that has the lock sets and reads the attribute.
        self._descriptor = wait_for_lock(self._journal.with_name("journal.lock"), poll_seconds=0.005)
        self._repair()
        return True

    def release(self) -> None:
        unlock(self._descriptor)

    def _repair(self) -> None:
        """Remove an incomplete last line, left by a killed process or a full disk, which would spoil the next line."""
        with self._journal.open("r+b") as file:
            end = file.seek(0, os.SEEK_END)
            if end == 0:
                return
            file.seek(end - 1)
            if file.read(1) == b"\n":
                return
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
