"""Hours and price of the paper's tables, from the speed of every kind of run in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.gpu import training
from rdc_sweeps.dispatch.speeds import Speed, kind
from rdc_sweeps.specs.catalogue import Catalogue, Run
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.evaluation import EVALUATION_BATCH


def runs_of(catalogue: Catalogue, tables: Sequence[str], profile: str) -> dict[str, list[Run]]:
    """The rows of each table with one seed."""
    return {table: catalogue.runs(table, profile, seeds=[0]) for table in tables}


def kinds(runs: dict[str, list[Run]]) -> list[RunSpec]:
    """A spec of every kind of run."""
    found: dict[str, RunSpec] = {}
    for one in [run for of in runs.values() for run in of]:
        found.setdefault(_kind(one.spec), one.spec)
    return list(found.values())


def speeds(
    runs: dict[str, list[Run]],
    device: torch.device,
    repeats: int,
    images_per_second: float,
    said: Callable[[str], object],
) -> list[Speed]:
    """Seconds of an epoch of every kind of run; those that do not fit into memory are left out.

    An epoch is as long as its steps or as loading its images, whichever takes longer, and its evaluation.
    """
    found, specs = [], kinds(runs)
    for number, spec in enumerate(specs, start=1):
        costs = training.costs(spec, device, repeats)
        what = f"{number} of {len(specs)} kinds: {spec.backbone.name}, {spec.method.name}, {spec.labels.setting}"
        if costs is None:
            said(f"{what}: not enough memory")
            continue
        step, evaluation = costs
        steps, batches = spec.length.steps_per_epoch, -(-spec.dataset.test_count // EVALUATION_BATCH)
        loading = spec.training.batch_size / images_per_second
        seconds = steps * max(step.seconds, loading) + batches * evaluation.seconds
        slower = " (the loader is slower)" if loading > step.seconds else ""
        memory = "" if step.gib is None else f", {step.gib:.2f} GiB"
        said(f"{what}: {step.seconds:.3g} s a step{slower}{memory}")
        found.append(Speed(spec=spec.model_dump(mode="json"), seconds=seconds))
    return found


def hours(
    runs: dict[str, list[Run]], measured: Sequence[Speed], seeds: int, price: float | None
) -> list[dict[str, Any]]:
    """A row for each table, and one for all, in which trainings that tables share count once."""
    by_kind = {kind(one.spec): one.seconds for one in measured}
    parts = {**runs, "all": [run for of in runs.values() for run in of]}
    rows = []
    for name, of in parts.items():
        distinct = {run.id: run.spec for run in of}
        known = [spec for spec in distinct.values() if _kind(spec) in by_kind]
        total = sum(by_kind[_kind(spec)] * spec.length.steps / spec.length.steps_per_epoch for spec in known) / 3600
        row = {"table": name, "trainings": len(distinct), "measured": len(known), "hours": total, "seeds": seeds}
        row["hours of all seeds"] = seeds * total
        rows.append(row if price is None else {**row, "price": price * seeds * total})
    return rows


def _kind(spec: RunSpec) -> str:
    return kind(spec.model_dump(mode="json"))
