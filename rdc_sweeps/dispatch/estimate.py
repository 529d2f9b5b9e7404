"""Estimates of the duration of planned runs, from measured runs of the same kind, or else from a benchmark."""

import json
import os
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from rdc_sweeps.dispatch.plan import Planned
from rdc_sweeps.dispatch.speeds import kind, read_speeds
from rdc_sweeps.errors import DamagedError
from rdc_sweeps.files import read_file
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec

# Many specs may have to be read. The C loader is far faster, but not installed everywhere.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MOST_READ = 2000
"""Maximum number of specs that are read in search of runs of the same kind."""

ENOUGH = 5
"""Measured runs that are enough for one kind."""


@dataclass(frozen=True)
class Measured:
    """The measured time of one epoch of a run, including its evaluation."""

    seconds: float
    device: str
    """Name of the GPU, or `cpu`."""
    threads: int


@dataclass(frozen=True)
class Estimate:
    """The remaining cost of a planned run.

    Attributes:
        seconds: On one GPU, or with the threads that the measured runs had.
        hours: GPU-hours, or core-hours on a CPU.
        device: Name of the GPU, or `cpu`.
        measured: Number of measured runs behind the estimate; 0: a benchmark.
    """

    seconds: float
    hours: float
    device: str
    measured: int


def estimates(planned: Iterable[Planned], settings: Settings) -> dict[str, Estimate]:
    """The remaining cost of the runs to do, by id; runs of a kind that was never measured are left out.

    A kind without a measured run has the speed that a benchmark measured on a device that the runs can use. Runs are of
    the same kind if they differ only in weights, rates, seeds, the number of epochs and where initial
    weights come from.

    Args:
        planned: All planned runs, including those to skip.
        settings: Settings of the processes that will train (see `Executor.worker_settings`).
    """
    todo = [one for one in planned if one.action != "skip"]
    kinds = {one.run.id: kind(one.run.spec.model_dump(mode="json")) for one in todo}
    measured = _measured(set(kinds.values()), settings)
    benchmarked = _benchmarked(settings) if set(kinds.values()) - measured.keys() else {}
    found = {}
    for one in todo:
        of = kinds[one.run.id]
        if known := measured.get(of):
            found[one.run.id] = _estimate(one, known, settings)
        elif of in benchmarked:
            found[one.run.id] = replace(_estimate(one, [benchmarked[of]], settings), measured=0)
    return found


def _benchmarked(settings: Settings) -> dict[str, Measured]:
    """By kind of run; of several devices, the one that was measured last."""
    found: dict[str, Measured] = {}
    for device in read_speeds(settings.cache_root):
        if _may_be_used(device.device, settings):
            for one in device.speeds:
                found.setdefault(kind(one.spec), Measured(one.seconds, device.device, device.threads))
    return found


def _estimate(one: Planned, known: list[Measured], settings: Settings) -> Estimate:
    # If there are several devices, the most frequent one.
    device = statistics.mode(measured.device for measured in known)
    chosen = [measured for measured in known if measured.device == device]
    seconds = statistics.median(measured.seconds for measured in chosen) * _epochs(one.run.spec) * _left(one, settings)
    threads = statistics.median(measured.threads for measured in chosen)
    return Estimate(seconds, seconds * (threads if device == "cpu" else 1) / 3600, device, len(chosen))


def _epochs(spec: RunSpec) -> float:
    """Length of a training in epochs, with the fraction of an incomplete last one."""
    return spec.length.steps / spec.length.steps_per_epoch


def _left(one: Planned, settings: Settings) -> float:
    """The share of the training that a resumed run still has to do."""
    status = RunDirectory(settings.root, one.run.id).last_status() if one.action == "resume" else None
    return 1 - status.step / status.steps if status and status.steps else 1.0


def _measured(kinds: set[str], settings: Settings) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    for directory in _directories(settings.root):
        try:
            spec = yaml.load(read_file(directory.spec), Loader)
        except (OSError, DamagedError, ValueError, RecursionError, yaml.YAMLError):
            continue
        of = kind(spec) if isinstance(spec, dict) else ""
        if of not in kinds or len(found.get(of, ())) >= ENOUGH:
            continue
        measured = _measure(directory, spec)
        if measured is not None and _may_be_used(measured.device, settings):
            found.setdefault(of, []).append(measured)
            if sum(len(some) >= ENOUGH for some in found.values()) == len(kinds):
                break
    return found


def _directories(root: Path) -> Iterator[RunDirectory]:
    try:
        # Newest first, because code and machines change.
        entries = sorted(os.scandir(root), key=lambda entry: -entry.stat().st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from (RunDirectory(root, entry.name) for entry in entries[:MOST_READ])


def _may_be_used(device: str, settings: Settings) -> bool:
    """Whether the planned runs may be placed on such a device."""
    if settings.device == "cpu":
        return device == "cpu"
    return device != "cpu" or settings.device == "auto"


def _measure(directory: RunDirectory, written: Mapping[str, Any]) -> Measured | None:
    try:
        spec = RunSpec.model_validate(written)
        result, status = directory.result(), directory.status()
    except (DamagedError, ValidationError):
        return None
    if _epochs(spec) < 1:
        return None  # The evaluation would weigh more than in a whole epoch.
    if result is not None:
        return Measured(result.seconds / _epochs(spec), result.device, _threads(directory))
    # Of an unfinished run only whole epochs include the cost of an evaluation.
    if status is None or not status.rate or not status.epoch or not status.device:
        return None
    return Measured(spec.length.steps_per_epoch / status.rate, status.device, _threads(directory))


def _threads(directory: RunDirectory) -> int:
    try:
        return int(json.loads(directory.environment.read_bytes())["threads"])
    except (OSError, ValueError, KeyError, TypeError):
        return 1
