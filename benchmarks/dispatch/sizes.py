"""Size of the checkpoints of the tables' runs: weights and two moments of Adam, from the number of parameters."""

from __future__ import annotations

import json
from typing import Any

import torch
from pydantic import TypeAdapter

from benchmarks.dispatch.planning import all_runs
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.backbone import BackboneSpec
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.setup import build_learner

BYTES = 4
"""Bytes per number: checkpoints are in float32."""


def run() -> list[dict[str, Any]]:
    """For each backbone and method: runs per seed, parameters, and megabytes per checkpoint."""
    distinct = {run.id: run for run in all_runs(1)}
    kinds: dict[tuple[str, str, int], int] = {}
    for one in distinct.values():
        parameters, buffers = _numbers(one.spec)
        # The moments double what is trained; what is not is stored once.
        size = BYTES * (3 * parameters + buffers)
        key = one.spec.backbone.name, one.spec.method.name, size
        kinds[key] = kinds.get(key, 0) + 1
    rows = [
        {
            "backbone": backbone,
            "method": method,
            "runs per seed": count,
            "MB per run": size / 1e6,
            "MB": count * size / 1e6,
        }
        for (backbone, method, size), count in sorted(kinds.items())
    ]
    total = sum(count * size / 1e6 for (*_, size), count in kinds.items())
    return [*rows, {"backbone": "all", "method": "", "runs per seed": len(distinct), "MB per run": 0.0, "MB": total}]


def _numbers(spec: RunSpec) -> tuple[int, int]:
    """Parameters and buffers of the learner, without initialising them."""
    backbone = spec.backbone.model_dump()
    if "pretrained" in backbone:
        backbone["pretrained"] = {"source": "none"}
    unloaded = spec.model_copy(update={"backbone": TypeAdapter(BackboneSpec).validate_python(backbone)})
    with torch.device("meta"):
        learner = build_learner(unloaded, Settings(device="cpu"))
    return sum(one.numel() for one in learner.parameters()), sum(one.numel() for one in learner.buffers())


if __name__ == "__main__":
    print(json.dumps(run()))
