"""Speeds of trainings that a benchmark has measured on a device, before any run has."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rdc_sweeps.errors import DamagedError
from rdc_sweeps.files import read_file

FOLDER = "speeds"
"""Of the cache: what `python -m benchmarks.gpu` has written, a file for each name of a device."""


class Speed(BaseModel):
    """The speed of the runs of a kind.

    Attributes:
        spec: The spec of one of them, in JSON.
        seconds: Of an epoch, with its evaluation.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    spec: dict[str, Any]
    seconds: float = Field(gt=0)


class Speeds(BaseModel):
    """What was measured on a device.

    Attributes:
        device: Name of the GPU, or `cpu`.
        threads: CPU threads.
        packages: Versions.
        speeds: Of the kinds of runs.
    """

    model_config = ConfigDict(frozen=True)

    device: str
    threads: int = Field(ge=1)
    packages: dict[str, str]
    speeds: tuple[Speed, ...]


def speeds_file(cache: Path, device: str) -> Path:
    """Where the speeds of a device are kept."""
    return cache / FOLDER / f"{re.sub(r'[^A-Za-z0-9]+', '-', device)}.json"


def read_speeds(cache: Path) -> list[Speeds]:
    """The speeds of all devices, the last measured first; damaged files are passed over."""
    try:
        entries = sorted(os.scandir(cache / FOLDER), key=lambda entry: -entry.stat().st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = []
    for entry in entries:
        try:
            found.append(Speeds.model_validate(json.loads(read_file(Path(entry.path)))))
        except (OSError, DamagedError, ValueError, RecursionError, ValidationError):
            continue
    return found


def kind(spec: Mapping[str, Any]) -> str:
    """Everything on which a run's time per epoch depends, as text; empty if this is no spec."""
    try:
        parts = {
            "dataset": {**spec["dataset"], "seed": None},
            "labels": spec["labels"]["setting"],
            "backbone": spec["backbone"],
            "method": spec["method"],
            "training": [spec["training"][name] for name in ("batch_size", "last_batch", "augmentation", "precision")],
        }
    except (KeyError, TypeError):
        return ""
    return json.dumps(_relevant(parts), sort_keys=True)


def _relevant(value: Any) -> Any:
    """A value without what no duration depends on: fractional numbers (weights, rates) and where weights come from."""
    if isinstance(value, Mapping):
        return {key: _relevant(inner) for key, inner in value.items() if key != "pretrained"}
    if isinstance(value, list | tuple):
        return [_relevant(inner) for inner in value]
    return None if isinstance(value, float) else value
