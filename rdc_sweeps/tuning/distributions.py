"""Ranges as Optuna's parameters; Optuna keeps lists as their JSON text."""

import json
from collections.abc import Mapping
from typing import Any

from optuna import Trial

from rdc_sweeps.specs.ranges import ChoiceRange, IntegerRange, LogRange, Range, UniformRange


def suggest(trial: Trial, path: str, drawn: Range) -> Any:
    """Draw a value, or get the one that the trial has already."""
    if isinstance(drawn, UniformRange):
        return trial.suggest_float(path, *drawn.uniform)
    if isinstance(drawn, LogRange):
        return trial.suggest_float(path, *drawn.log, log=True)
    if isinstance(drawn, IntegerRange):
        return trial.suggest_int(path, *drawn.integer, step=drawn.step, log=drawn.log)
    return _chosen(drawn, trial.suggest_categorical(path, [_label(value) for value in drawn.choice]))


def to_parameters(space: Mapping[str, Range], values: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as Optuna's parameters."""
    return {
        path: _label(values[path]) if isinstance(drawn, ChoiceRange) else values[path] for path, drawn in space.items()
    }


def to_values(space: Mapping[str, Range], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Optuna's parameters as a configuration."""
    return {
        path: _chosen(drawn, parameters[path]) if isinstance(drawn, ChoiceRange) else parameters[path]
        for path, drawn in space.items()
    }


def _chosen(drawn: ChoiceRange, label: Any) -> Any:
    # As in YAML, true is not 1.
    return next(value for value in drawn.choice if repr(_label(value)) == repr(label))


def _label(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple) else value
