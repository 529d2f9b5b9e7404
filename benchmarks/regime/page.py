"""The part `regime` of docs/findings.md: a table of the variants."""

import math
from collections.abc import Sequence
from statistics import fmean

from benchmarks.regime.records import Measured, Regime
from benchmarks.regime.variants import BASE, VARIANTS
from rdc_sweeps.probing.record import Estimate, differences
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
        variants.setdefault((one.group, one.changes, one.refit, one.images, one.true_regions), []).append(one)
    bases = [found for found in variants.values() if found[0].name == BASE]
    for found in variants.values():
        # The row in equal measurements; variants of the number of steps have none, and are compared with its first.
        equal = [base for base in bases if (base[0].refit, base[0].images) == (found[0].refit, found[0].images)]
        lines.append(f"| {' | '.join(_cells(found, next(iter([*equal, *bases]), [])))} |")
    return "\n".join([*lines, "", ""])


def _cells(found: Sequence[Measured], base: Sequence[Measured]) -> list[str]:
    cosines = [_cosines(found, task) for task in TASKS]
    less = [differences(_cosines(base, task), of_task) for of_task, task in zip(cosines, TASKS, strict=True)]
    return [
        found[0].name,
        str(len(found)),
        *(_estimate(Estimate.of(list(of_task.values()))) for of_task in cosines),
        _estimate(_over_tasks([Estimate.of(list(of_task.values())) for of_task in cosines])),
        "" if found[0].name == BASE else _estimate(_over_tasks(less)),
    ]


def _cosines(found: Sequence[Measured], task: Task) -> Cosines:
    return {(one.run, image): value for one in found for image, value in one.prediction.get(task, {}).items()}


def _over_tasks(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """The mean over tasks, whose images are taken as independent; None if a task is missing."""
    known = [one for one in estimates if one is not None]
    if len(known) < len(estimates):
        return None
    errors = [one.error for one in known if one.error is not None]
    error = math.sqrt(math.fsum(error**2 for error in errors)) / len(known) if len(errors) == len(known) else None
    return Estimate(
        mean=fmean(one.mean for one in known), error=error, positive=0.0, count=min(one.count for one in known)
    )


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return "X"
    return f"{estimate.mean:+.4f} ± {'X' if estimate.error is None else f'{estimate.error:.4f}'}"
