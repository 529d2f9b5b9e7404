"""A study in Optuna's terms: parameters, sampler, pruner and direction."""

import json
from collections.abc import Mapping
from itertools import product
from typing import Any, Literal

import numpy as np
from optuna import Trial, pruners, samplers

from rdc_sweeps.metrics.metric import METRICS
from rdc_sweeps.specs.ranges import ChoiceRange, IntegerRange, LogRange, Range, UniformRange
from rdc_sweeps.specs.study import (
    GpSampler,
    GridSampler,
    HyperbandPruner,
    MedianPruner,
    MetricObjective,
    ObjectiveSpec,
    SamplerSpec,
    StudySpec,
    TpeSampler,
    WilcoxonPruner,
)


def direction(spec: ObjectiveSpec) -> Literal["maximize", "minimize"]:
    """Whether a higher or a lower value of the objective is better."""
    higher = METRICS[spec.metric].higher_is_better if isinstance(spec, MetricObjective) else True
    return "maximize" if higher else "minimize"


def suggest(trial: Trial, path: str, drawn: Range) -> Any:
    """Draw a value for a field, or return the value that the trial already has."""
    if isinstance(drawn, UniformRange):
        return trial.suggest_float(path, *drawn.uniform)
    if isinstance(drawn, LogRange):
        return trial.suggest_float(path, *drawn.log, log=True)
    if isinstance(drawn, IntegerRange):
        return trial.suggest_int(path, *drawn.integer, step=drawn.step, log=drawn.log)
    return _chosen(drawn, trial.suggest_categorical(path, [_label(value) for value in drawn.choice]))


def to_parameters(space: Mapping[str, Range], values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a configuration to Optuna's parameters; Optuna stores lists as JSON text."""
    return {
        path: _label(values[path]) if isinstance(drawn, ChoiceRange) else values[path] for path, drawn in space.items()
    }


def to_values(space: Mapping[str, Range], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Convert Optuna's parameters to a configuration."""
    return {
        path: _chosen(drawn, parameters[path]) if isinstance(drawn, ChoiceRange) else parameters[path]
        for path, drawn in space.items()
    }


def _chosen(drawn: ChoiceRange, label: Any) -> Any:
    # As in YAML, true and 1 are different values.
    return next(value for value in drawn.choice if repr(_label(value)) == repr(label))


def _label(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple) else value


def build_sampler(spec: SamplerSpec, trials: int) -> samplers.BaseSampler:
    """Build the sampler for the next trial of a study that has `trials` trials.

    Its seed depends on that number, so that an interrupted study continues as if it had not been interrupted, and no
    two workers draw the same configuration.
    """
    seed = int(np.random.SeedSequence((spec.seed, trials)).generate_state(1)[0])
    if isinstance(spec, TpeSampler):
        return samplers.TPESampler(
            n_startup_trials=spec.startup_trials, multivariate=True, constant_liar=True, seed=seed
        )
    if isinstance(spec, GpSampler):
        return samplers.GPSampler(n_startup_trials=spec.startup_trials, seed=seed)
    # All combinations of a grid are enqueued, so its sampler is never used.
    return samplers.RandomSampler(seed=seed)


def grid(spec: StudySpec) -> list[dict[str, Any]] | None:
    """All configurations of a grid in random order; None for any other sampler."""
    if not isinstance(spec.sampler, GridSampler):
        return None
    axes = [drawn.grid(spec.sampler.points) for drawn in spec.space.values()]
    found = [dict(zip(spec.space, corner, strict=True)) for corner in product(*axes)]
    order = np.random.default_rng(spec.sampler.seed).permutation(len(found))
    return [found[index] for index in order]


def build_pruner(spec: StudySpec, epochs: int) -> pruners.BasePruner:
    """Build the pruner of trials of `epochs` epochs; a step is an epoch, from 1, or for Wilcoxon a seed, from 0."""
    pruner = spec.pruner
    if isinstance(pruner, HyperbandPruner):
        return pruners.HyperbandPruner(
            min_resource=pruner.min_epochs, max_resource=epochs, reduction_factor=pruner.reduction
        )
    if isinstance(pruner, MedianPruner):
        return pruners.MedianPruner(n_startup_trials=pruner.startup_trials, n_warmup_steps=pruner.warmup_epochs + 1)
    if isinstance(pruner, WilcoxonPruner):
        return pruners.WilcoxonPruner(p_threshold=pruner.p, n_startup_steps=pruner.startup_seeds)
    return pruners.NopPruner()
