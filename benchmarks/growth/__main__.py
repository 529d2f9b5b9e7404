"""`python -m benchmarks.growth [--seeds 1,5] [--json FILE] [--page FILE]`: measure, print, store, write the table."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth.folder import fill
from benchmarks.growth.point import OPERATIONS
from benchmarks.pages import write_part
from rdc_sweeps.errors import RdcError
from rdc_sweeps.files import write_json

HERE = Path(__file__).parents[2]
SEEDS = (5, 20, 64, 213)
"""Of the 47 rows; 213 seeds are 10,011 rows x seeds."""
MIB = 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every operation on a folder of each size."""
    parser = argparse.ArgumentParser(description="CPU time and memory of commands as a folder of runs grows.")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="numbers of seeds of every row")
    parser.add_argument("--json", type=Path, help="store the measurements here")
    parser.add_argument("--page", type=Path, help="write the table into this page, between its marks")
    options = parser.parse_args(arguments)
    try:
        results = measured([int(number) for number in options.seeds.split(",")])
        text = table(results)
        print(text)
        if options.json:
            write_json(options.json, results)
        if options.page:
            write_part(options.page, "growth", f"\n{text}\n\n")
    except RdcError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def measured(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """A record for each operation: its points, from few seeds to many, and exponents."""
    points: dict[str, list[dict[str, float]]] = {operation: [] for operation in OPERATIONS}
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        for number in sorted(seeds):
            rows, runs = fill(Path(folder) / "runs", number)
            for operation in OPERATIONS:
                found = _point(operation, Path(folder), number)
                points[operation].append({"rows x seeds": rows, "runs": runs, **found})
    return [{"operation": operation, "points": of, **exponents(of)} for operation, of in points.items()]


def _point(operation: str, folder: Path, seeds: int) -> dict[str, float]:
    file = folder / "point.json"
    command = [sys.executable, "-m", "benchmarks.growth.point", str(file), operation, str(folder / "runs"), str(seeds)]
    # The user's settings and cache do not count.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RDC_SWEEP_")}
    places = {"RDC_SWEEP_CACHE_ROOT": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder)}
    done = subprocess.run(
        command, cwd=HERE, env={**environment, **places}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise RdcError(f"{operation} with {seeds} seeds failed: {done.stderr.strip()[-2000:]}")
    found: dict[str, float] = json.loads(file.read_bytes())
    return found


def exponents(points: Sequence[dict[str, float]]) -> dict[str, float | None]:
    """Slopes of the logarithms over the three largest sizes, where fixed costs matter least."""
    upper = points[-3:]
    sizes = [point["rows x seeds"] for point in upper]
    found: dict[str, float | None] = {}
    for name in ("seconds", "bytes"):
        values = [point[name] for point in upper]
        fits = len(upper) > 1 and min(values) > 0
        found[f"{name} exponent"] = float(np.polyfit(np.log(sizes), np.log(values), 1)[0]) if fits else None
    return found


def table(results: Sequence[dict[str, Any]]) -> str:
    """A row for each operation: seconds and MiB at each size, and exponents."""
    sizes = [f"{point['rows x seeds']:,}" for point in results[0]["points"]]
    lines = [f"| | {' | '.join(sizes)} | exponents |", "|---|" + "---|" * (len(sizes) + 1)]
    for one in results:
        cells = [f"{point['seconds']:.2g} s, {point['bytes'] / MIB:.0f} MiB" for point in one["points"]]
        slopes = [one[f"{name} exponent"] for name in ("seconds", "bytes")]
        fitted = ", ".join("-" if slope is None else f"{slope:.2f}" for slope in slopes)
        lines.append(f"| {one['operation']} | {' | '.join(cells)} | {fitted} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
