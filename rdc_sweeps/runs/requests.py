"""Requests to a run from outside its owner: train, stop, retry, move away."""

import json
import shutil
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import yaml

from rdc_sweeps.errors import DamagedError, RunLockedError
from rdc_sweeps.files import json_bytes, read_file, write_atomically
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.lock import exclusive
from rdc_sweeps.runs.records import Attempt, Failure, Origin, Record, Stopped, attempts_text
from rdc_sweeps.seals import YAML, seal_record, with_header
from rdc_sweeps.specs.run import RunSpec

# The faster C version of the safe dumper; not every build of PyYAML has it.
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def request_run(run: RunDirectory, spec: RunSpec, origin: Origin | None = None) -> None:
    """Write a run's spec, which workers need, and its origin unless one is recorded already; both if damaged."""
    encoded = with_header(_spec_text(spec).encode(), YAML, run.id)
    try:
        known = read_file(run.spec) == encoded
    except (FileNotFoundError, DamagedError):
        known = False
    if not known:
        write_atomically(run.spec, lambda file: file.write(encoded))
    if origin is not None and not _has_origin(run):
        _write_record(run, "origin.json", origin)


def withdraw_request(run: RunDirectory) -> None:
    """Undo `request_run` of a new run, unless something else has been written to it."""
    names = {"spec.yaml", "origin.json"}
    if run.folder.is_dir() and {path.name for path in run.folder.iterdir()} <= names:
        for name in names:
            (run.folder / name).unlink(missing_ok=True)
        with suppress(OSError):
            run.folder.rmdir()


def request_stop(run: RunDirectory, stopped: Stopped) -> None:
    """Stop a run on purpose: its worker stops at the next heartbeat, and no other starts."""
    _write_record(run, "stopped.json", stopped)


def withdraw_stop(run: RunDirectory) -> None:
    """Let a stopped run continue from its checkpoint."""
    (run.folder / "stopped.json").unlink(missing_ok=True)


def forget_failure(run: RunDirectory) -> None:
    """Let a failed run be retried from its checkpoint; earlier deaths of workers no longer count."""
    if (run.folder / "failure.json").exists():
        content = attempts_text([*run.attempts(), Attempt.now("end", state="forgotten")], run.id)
        write_atomically(run.folder / "attempts.jsonl", lambda file: file.write(content))
        (run.folder / "failure.json").unlink(missing_ok=True)


def restore_failure(run: RunDirectory, failure: Failure) -> None:
    """Undo `forget_failure`, if the run is not retried after all."""
    _write_record(run, "failure.json", failure)


def move_damaged_aside(run: RunDirectory) -> None:
    """Move damaged records to `damaged/`, so that the run continues from its checkpoint; nothing is deleted.

    Raises:
        RunLockedError: Another process is working on it.
    """
    with exclusive(run):
        for name in run.damaged():
            target = run.folder / "damaged" / f"{name}-{_stamp()}"
            target.parent.mkdir(exist_ok=True)
            (run.folder / name).rename(target)


def set_aside(run: RunDirectory) -> Path | None:
    """Move the directory away, so that the run starts from scratch; nothing is deleted.

    Returns:
        The new location; None if there was no directory.

    Raises:
        RunLockedError: Another process is working on it.
    """
    if not run.folder.is_dir():
        return None
    with exclusive(run):
        if run.last_status() is not None and run.beats_elsewhere():
            raise RunLockedError(f"run {run.id}: {run.owner()} is working on it")
        target = run.root / "replaced" / f"{run.id}-{_stamp()}"
        target.parent.mkdir(exist_ok=True)
        shutil.move(run.folder, target)
    return target


def _stamp() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}"


def _has_origin(run: RunDirectory) -> bool:
    try:
        return run.origin() is not None
    except DamagedError:
        return False


def _write_record(run: RunDirectory, name: str, record: Record) -> None:
    encoded = seal_record(json_bytes(record.model_dump(mode="json")), run.id)
    write_atomically(run.folder / name, lambda file: file.write(encoded))


def _spec_text(spec: RunSpec) -> str:
    """A spec as YAML, part by part: thousands of runs share most of their parts, and YAML is slow to write."""
    return "".join(_part_text(json.dumps({name: part})) for name, part in spec.model_dump(mode="json").items())


@lru_cache(maxsize=1024)
def _part_text(part: str) -> str:
    """The YAML of a JSON text. Values would not do as a key: 1, 1.0 and true are equal, but written differently."""
    return yaml.dump(json.loads(part), Dumper=_Dumper, sort_keys=False)
