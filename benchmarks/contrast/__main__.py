"""`python -m benchmarks.contrast [--quick] [--threads N] [--json FILE] [--plots DIR]`: run, print, and store."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.contrast import accuracy, growth, loss, plots, training_step, wasserstein
from rdc_sweeps.files import write_json

PARTS: dict[str, Callable[[bool], list[dict[str, Any]]]] = {
    "wasserstein": wasserstein.run,
    "loss": loss.run,
    "patches": loss.run_patches,
    "training_step": training_step.run,
    "growth": growth.run,
    "accuracy": accuracy.run,
}


def main() -> None:
    """Run every part, or those named by --only."""
    parser = argparse.ArgumentParser(description="Speed, memory and accuracy of the contrast against alternatives.")
    parser.add_argument("--quick", action="store_true", help="fewer sizes and repeats")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="run these parts only")
    parser.add_argument("--threads", type=int, default=2, help="threads of every candidate (default: 2)")
    parser.add_argument("--json", type=Path, help="store the measurements here")
    parser.add_argument("--plots", type=Path, help="store the plots in this folder (needs all parts)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console()
    console.width = max(console.width, 170)  # tables are read from logs too
    results: dict[str, Any] = {"threads": options.threads, "torch": torch.__version__, "quick": options.quick}
    for name in options.only:
        results[name] = PARTS[name](options.quick)
        console.print(_table(name, results[name]))
    if options.json:
        write_json(options.json, results)
    if options.plots and set(options.only) >= {"growth", "wasserstein"}:
        for path in plots.draw(results, options.plots):
            console.print(f"wrote {path}")


def _table(name: str, rows: list[dict[str, Any]]) -> Table:
    flat = [_flatten(row) for row in rows]
    table = Table(*flat[0], title=name.replace("_", " "))
    for row in flat:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    return table


def _flatten(row: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{key} {inner}".replace("_", " "): number for inner, number in value.items()}
        elif key != "points":
            flat[key.replace("_", " ")] = value
    return flat


if __name__ == "__main__":
    main()
