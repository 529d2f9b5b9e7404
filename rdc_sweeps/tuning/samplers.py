"""Optuna's samplers and pruners as a study's spec names them."""

from itertools import product
from typing import Any

import numpy as np
from optuna import pruners, samplers

from rdc_sweeps.specs.study import (
    GpSampler,
    GridSampler,
    HyperbandPruner,
    MedianPruner,
    SamplerSpec,
    StudySpec,
    TpeSampler,
    WilcoxonPruner,
)


def build_sampler(spec: SamplerSpec, trials: int) -> samplers.BaseSampler:
    """The sampler for the next trial of a study that has `trials`.

    Seeded by their number, a study that was interrupted goes on as one that was not, and no two workers draw alike.
    """
    seed = int(np.random.SeedSequence((spec.seed, trials)).generate_state(1)[0])
    if isinstance(spec, TpeSampler):
        return samplers.TPESampler(
            n_startup_trials=spec.startup_trials, multivariate=True, constant_liar=True, seed=seed
        )
    if isinstance(spec, GpSampler):
        return samplers.GPSampler(n_startup_trials=spec.startup_trials, seed=seed)
    # A grid's combinations are all enqueued.
    return samplers.RandomSampler(seed=seed)


def grid(spec: StudySpec) -> list[dict[str, Any]] | None:
    """All configurations of a grid in random order; None for another sampler."""
    if not isinstance(spec.sampler, GridSampler):
        return None
    axes = [drawn.grid(spec.sampler.points) for drawn in spec.space.values()]
    found = [dict(zip(spec.space, corner, strict=True)) for corner in product(*axes)]
    order = np.random.default_rng(spec.sampler.seed).permutation(len(found))
    return [found[index] for index in order]


def build_pruner(spec: StudySpec, epochs: int) -> pruners.BasePruner:
    """The pruner of trials that take `epochs` each; steps count epochs from 1, for Wilcoxon seeds from 0."""
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
