"""Run directories that are read again and again: a record is read again only if its file has changed."""

from pathlib import Path

from rdc_sweeps.runs.directory import AnyRecord, OpenRun, RunDirectory


class CachedRunDirectory(RunDirectory):
    """The directory of a run, with the records as last read."""

    def __init__(self, root: Path, run_id: str) -> None:
        super().__init__(root, run_id)
        self._known: dict[tuple[str, type], tuple[tuple[int, int, int], object]] = {}

    def _read(self, name: str, model: type[AnyRecord]) -> AnyRecord | None:
        try:
            found = (self.folder / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        # Records are replaced, never changed in place, so a changed one is another file.
        file = found.st_ino, found.st_mtime_ns, found.st_size
        known = self._known.get((name, model))
        if known is not None and known[0] == file:
            return known[1]  # type: ignore[return-value]
        record = super()._read(name, model)
        self._known[name, model] = file, record
        return record

    def _has_result(self) -> bool:
        return self.result() is not None


def caching() -> OpenRun:
    """A function that opens run directories, and returns the same object for the same run."""
    known: dict[tuple[Path, str], RunDirectory] = {}

    def open_run(root: Path, run: str) -> RunDirectory:
        return known.setdefault((root, run), CachedRunDirectory(root, run))

    return open_run
