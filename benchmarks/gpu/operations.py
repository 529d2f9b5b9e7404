"""`python -m benchmarks.gpu.operations --rate TFLOPS`: the arithmetic of tables, and hours at a rate; needs no device.

Multiplications and additions of convolutions and matrix products are counted as a GPU would do them, on torch's meta
device. What else a step does takes time but is not counted, so that the rate is one that whole steps reach.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu.tables import hours, kinds, runs_of
from benchmarks.gpu.tabulate import table, wide_console
from benchmarks.gpu.training import random_batch, without_weights
from rdc_sweeps.dispatch.speeds import Speed
from rdc_sweeps.errors import RdcError
from rdc_sweeps.settings import Settings, experiments_folder, load_settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.setup import build_learner


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, and print a line for each row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.operations", description=__doc__)
    parser.add_argument("--rate", type=float, required=True, help="10^12 operations a second that whole steps reach")
    parser.add_argument("--profile", default="paper", help="of the runs (default: paper)")
    parser.add_argument("--tables", default="findings", help="names, with commas (default: findings)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of every row (default: 5)")
    options = parser.parse_args(arguments)
    try:
        rows = counted(
            Catalogue(experiments_folder(load_settings())), options.tables.split(","), options.profile, options.seeds,
            options.rate,
        )  # fmt: skip
    except RdcError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    wide_console().print(table("operations", rows))


def counted(catalogue: Catalogue, names: Sequence[str], profile: str, seeds: int, rate: float) -> list[dict[str, Any]]:
    """Each row and all trainings together, with all seeds: 10^15 operations, and hours at the rate."""
    runs = runs_of(catalogue, names, profile)
    found = []
    for spec in kinds(runs):
        step, evaluation = step_operations(spec), evaluation_operations(spec)
        epoch = spec.length.steps_per_epoch * step + spec.dataset.test_count * evaluation
        found.append(Speed(spec=spec.model_dump(mode="json"), seconds=epoch / (1e12 * rate)))
    by_row = {f"{name}/{run.row.id}": [run] for name, of in runs.items() for run in of}
    return [
        {
            "row": one["table"],
            "seeds": seeds,
            "PFLOP": 3.6 * rate * one["hours of all seeds"],
            "hours": one["hours of all seeds"],
        }
        for one in hours(by_row, found, seeds, None)
    ]


def step_operations(spec: RunSpec) -> float:
    """Of a training step in the middle of a run, forward and backward."""
    learner = build_learner(without_weights(spec), Settings(device="cpu")).to("meta").train()
    batch = random_batch(spec, 0).to("meta")
    with FlopCounterMode(display=False) as counter:
        learner(batch, spec.length.epochs / 2).total.backward()
    return float(counter.get_total_flops())


def evaluation_operations(spec: RunSpec) -> float:
    """Of the network on one test image."""
    learner = build_learner(without_weights(spec), Settings(device="cpu")).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        learner.network(torch.empty(1, 3, *spec.dataset.size, device="meta"))
    return float(counter.get_total_flops())


if __name__ == "__main__":
    main()
