"""Requests to a run from outside its owner: train, stop, retry, move away."""

import json
import shutil
import time
from functools import lru_cache
from pathlib import Path

import yaml

from rdc_sweeps.errors import RunLockedError
from rdc_sweeps.files import write_atomically, write_json
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.lock import exclusive
from rdc_sweeps.runs.records import Attempt, Failure, Origin, Stopped, appended
from rdc_sweeps.specs.run import RunSpec

# The faster C version of the safe dumper; not every build of PyYAML has it.
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def request_run(run: RunDirectory, spec: RunSpec, origin: Origin | None = None) -> None:
    """Write a run's spec, which workers need, and its origin unless one is recorded already."""
    encoded = _spec_text(spec).encode()
    try:
        known = run.spec.read_bytes() == encoded
    except FileNotFoundError:
        known = False
    if not known:
        write_atomically(run.spec, lambda file: file.write(encoded))
    if origin is not None and run.origin() is None:
        write_json(run.folder / "origin.json", origin.model_dump(mode="json"))


def request_stop(run: RunDirectory, stopped: Stopped) -> None:
    """Stop a run on purpose: its worker stops at the next heartbeat, and no other starts."""
    write_json(run.folder / "stopped.json", stopped.model_dump(mode="json"))


def withdraw_stop(run: RunDirectory) -> None:
    """Let a stopped run continue from its checkpoint."""
    (run.folder / "stopped.json").unlink(missing_ok=True)


def forget_failure(run: RunDirectory) -> None:
    """Let a failed run be retried from its checkpoint; earlier deaths of workers no longer count."""
    if (run.folder / "failure.json").exists():
        path = run.folder / "attempts.jsonl"
        content = appended(path, Attempt.now("end", state="forgotten"))
        write_atomically(path, lambda file: file.write(content))
        (run.folder / "failure.json").unlink(missing_ok=True)


def restore_failure(run: RunDirectory, failure: Failure) -> None:
    """Undo `forget_failure`, if the run is not retried after all."""
    write_json(run.folder / "failure.json", failure.model_dump(mode="json"))


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
        if run.beats_elsewhere():
            raise RunLockedError(f"run {run.id}: {run.owner()} is working on it")
        target = run.root / "replaced" / f"{run.id}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}"
        target.parent.mkdir(exist_ok=True)
        shutil.move(run.folder, target)
    return target


def _spec_text(spec: RunSpec) -> str:
    """A spec as YAML, part by part: thousands of runs share most of their parts, and YAML is slow to write."""
    return "".join(_part_text(json.dumps({name: part})) for name, part in spec.model_dump(mode="json").items())


@lru_cache(maxsize=1024)
def _part_text(part: str) -> str:
    """The YAML of a JSON text. Values would not do as a key: 1, 1.0 and true are equal, but written differently."""
    return yaml.dump(json.loads(part), Dumper=_Dumper, sort_keys=False)
