"""The part `regime` of docs/findings.md: a table of the variants."""

import math
from collections.abc import Sequence
from statistics import fmean

from benchmarks.regime.records import Measured, Regime
from benchmarks.regime.variants import BASE, VARIANTS
from rdc_sweeps.probing.record import Estimate
from rdc_sweeps.specs.base import Task

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")

HEAD = ("variant", "networks", "cosine: semantic", "depth", "normals", "mean", "less the row's")

Cosines = dict[tuple[str, int], float]
"""By run and image."""


def regime_text(regime: Regime) -> str:
    """The table as Markdown: variants in their order, then those that are none any more."""
    lines = ["", f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"]
    variants: dict[tuple[object, ...], list[Measured]] = {}
    places = {(each.group, each.name): place for place, each in enumerate(VARIANTS)}
    for one in sorted(regime.measured, key=lambda one: places.get((one.group, one.name), len(places))):
        variants.setdefault((one.group, one.changes, one.refit, one.true_regions), []).append(one)
    base = next((found for found in variants.values() if found[0].name == BASE), [])
    lines += [f"| {' | '.join(_cells(found, base))} |" for found in variants.values()]
    return "\n".join([*lines, "", ""])


def _cells(found: Sequence[Measured], base: Sequence[Measured]) -> list[str]:
    cosines = [_cosines(found, task) for task in TASKS]
    less = [_paired(of_task, _cosines(base, task)) for of_task, task in zip(cosines, TASKS, strict=True)]
    return [
        found[0].name,
        str(len(found)),
        *(_estimate(Estimate.of(list(of_task.values()))) for of_task in cosines),
        _estimate(_over_tasks([Estimate.of(list(of_task.values())) for of_task in cosines])),
        "" if found[0].name == BASE else _estimate(_over_tasks(less)),
    ]


def _cosines(found: Sequence[Measured], task: Task) -> Cosines:
    return {(one.run, image): value for one in found for image, value in one.prediction.get(task, {}).items()}


def _paired(one: Cosines, base: Cosines) -> Estimate | None:
    return Estimate.of([one[key] - base[key] for key in one.keys() & base.keys()])


def _over_tasks(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """The mean over tasks, whose images are taken as independent; None if a task is missing."""
    known = [one for one in estimates if one is not None]
    if len(known) < len(estimates):
        return None
    error = math.sqrt(math.fsum((one.error or 0.0) ** 2 for one in known)) / len(known)
    return Estimate(
        mean=fmean(one.mean for one in known), error=error, positive=0.0, count=min(one.count for one in known)
    )


def _estimate(estimate: Estimate | None) -> str:
    return "X" if estimate is None else f"{estimate.mean:+.4f} ± {estimate.error or 0.0:.4f}"
